/** Mixed changes of a user's mail, as clients and a mail server make them; the same for the same seed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { plainMessage } from '../../support/messages.ts'
import { mulberry32 } from '../../support/random.ts'
import { RawImap } from '../../support/raw-imap.ts'
import type { Wherry } from '../../support/wherry.ts'
import { quoted } from '../campaign/names.ts'

export type Change = 'append' | 'flags' | 'copy' | 'move' | 'expunge' | 'deliver' | 'tree'

/** Each with what it and those before it are of all changes. */
const parts: readonly (readonly [Exclude<Change, 'deliver'>, number])[] = [
  ['append', 0.25],
  ['flags', 0.55],
  ['move', 0.7],
  ['copy', 0.75],
  ['expunge', 0.98],
  ['tree', 1],
]

const flagLists = ['\\Seen', '\\Flagged', '\\Answered', '\\Seen \\Draft', 'todo', '$Forwarded', 'todo \\Seen']

export interface Made {
  readonly counts: Readonly<Record<Change, number>>
  /** Names on the wire. */
  readonly mailboxes: readonly string[]
}

/** `count` changes, and `deliveries` by the program that mail servers call. */
export const makeChanges = async (
  wherry: Wherry,
  user: string,
  { count, deliveries, seed }: { readonly count: number; readonly deliveries: number; readonly seed: number },
): Promise<Made> => {
  const random = mulberry32(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  const counts: Record<Change, number> = { append: 0, flags: 0, copy: 0, move: 0, expunge: 0, deliver: 0, tree: 0 }
  await using imap = await RawImap.connect(wherry.imapPort)
  await imap.login(user, 'secret')
  const names = async () =>
    (await imap.command('LIST "" *')).flatMap(({ text }) =>
      text.includes('\\Noselect') ? [] : (/ "?([^" ]+)"?$/.exec(text)?.[1] ?? []),
    )
  let mailboxes = await names()
  const pick = () => mailboxes[below(mailboxes.length)]!
  /** Selected, and the UIDs in it. */
  const open = async (name: string): Promise<string[]> => {
    await imap.command(`SELECT ${quoted(name)}`)
    const [line] = await imap.command('UID SEARCH ALL')
    return /SEARCH ?(.*)$/
      .exec(line!.text)![1]!
      .split(' ')
      .filter((uid) => uid !== '')
  }
  const some = async (): Promise<string> => {
    for (;;) {
      const uids = await open(pick())
      if (uids.length > 0) return uids[below(uids.length)]!
    }
  }
  const does: Readonly<Record<Exclude<Change, 'deliver'>, (index: number) => Promise<unknown>>> = {
    append: (index) => {
      const message = plainMessage(index, 300 + below(4_000), seed)
      const date = `" ${1 + below(9)}-Feb-2024 10:0${below(10)}:00 +0000"`
      return imap.command(
        `APPEND ${quoted(pick())} (${flagLists[below(flagLists.length)]}) ${date} {${message.length}+}\r\n${message.toString('latin1')}`,
      )
    },
    flags: async () =>
      imap.command(
        `UID STORE ${await some()} ${random() < 0.75 ? '+' : '-'}FLAGS.SILENT (${flagLists[below(flagLists.length)]})`,
      ),
    copy: async () => imap.command(`UID COPY ${await some()} ${quoted(pick())}`),
    move: async () => imap.command(`UID MOVE ${await some()} ${quoted(pick())}`),
    expunge: async () => {
      const uid = await some()
      await imap.command(`UID STORE ${uid} +FLAGS.SILENT (\\Deleted)`)
      await imap.command(`UID EXPUNGE ${uid}`)
    },
    tree: async (index) => {
      const kind = below(4)
      const others = mailboxes.filter((name) => name !== 'INBOX')
      const other = others[below(others.length)]
      if (kind === 0 && other !== undefined) await imap.command(`RENAME ${quoted(other)} ${quoted(`Renamed${index}`)}`)
      else if (kind === 1 && other !== undefined) await imap.command(`SUBSCRIBE ${quoted(other)}`)
      else {
        await imap.command(`CREATE ${quoted(`New${index}`)}`)
        if (kind === 2) await imap.command(`SUBSCRIBE ${quoted(`New${index}`)}`)
      }
      mailboxes = await names()
    },
  }
  for (let index = 0; index < count; index++) {
    const at = random()
    const kind = parts.find(([, below]) => at < below)![0]
    await does[kind](index)
    counts[kind]++
  }
  for (let index = 0; index < deliveries; index++) {
    const child = spawn(resolve(import.meta.dirname, '../../../bin/msadm'), ['-c', wherry.configFile, 'deliver', user])
    child.stdin.end(plainMessage(100_000 + index, 2_000, seed))
    const [code] = await once(child, 'exit')
    if (code !== 0) throw new Error(`msadm deliver: ${code}`)
    counts.deliver++
  }
  return { counts, mailboxes }
}
