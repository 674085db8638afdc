/** Puts an account onto an old server as its clients did over the years: CREATE, APPEND, STORE, EXPUNGE, SUBSCRIBE. */
import type { RawImap } from '../../support/raw-imap.ts'
import type { OldAccount } from './accounts.ts'
import { quoted, toWire } from './names.ts'
import { personalNamespace } from './read-imap.ts'

/** What the server would not have, by its words: how often, with one example. */
export type Refusals = Map<string, { times: number; example: string }>

const note = (refusals: Refusals, error: unknown, example: string): void => {
  const words = (error as Error).message
    .replace(/^t\d+ /, '')
    .replace(/\d+/g, 'n')
    .slice(0, 100)
  const known = refusals.get(words)
  refusals.set(words, { times: (known?.times ?? 0) + 1, example: known?.example ?? example })
}

export async function fill(imap: RawImap, account: OldAccount, refusals: Refusals): Promise<void> {
  const { prefix, delimiter } = await personalNamespace(imap)
  for (const { levels, messages, isSubscribed } of account.mailboxes) {
    const name = quoted(levels.length === 0 ? 'INBOX' : prefix + levels.map(toWire).join(delimiter))
    try {
      if (levels.length > 0) await imap.command(`CREATE ${name}`)
    } catch (error) {
      note(refusals, error, `CREATE ${name}`)
      if (!/exists/i.test((error as Error).message)) continue
    }
    if (isSubscribed)
      await imap.command(`SUBSCRIBE ${name}`).catch((error) => note(refusals, error, `SUBSCRIBE ${name}`))
    for (const [at, { octets, flags, received }] of messages.entries())
      await append(imap, name, octets, flags, received).catch((error) =>
        note(refusals, error, `APPEND of message ${at}, ${account.kind}`),
      )
    if (account.expungeEvery > 0 && messages.length >= account.expungeEvery)
      await expungeSome(imap, name, messages.length, account.expungeEvery)
  }
}

async function append(
  imap: RawImap,
  name: string,
  octets: Buffer,
  flags: readonly string[],
  received: number,
): Promise<void> {
  imap.send(`a APPEND ${name} (${flags.join(' ')}) "${imapDate(received)}" {${octets.length}}\r\n`)
  const { text } = await imap.until(/^(\+|a )/)
  if (!text.startsWith('+')) throw new Error(text.slice(2))
  imap.send(`${octets.toString('latin1')}\r\n`)
  const answer = await imap.until(/^a /)
  if (!answer.text.startsWith('a OK')) throw new Error(answer.text.slice(2))
}

/** Only these, whatever else is marked \Deleted: the others' marks are taken off first, and come back. */
async function expungeSome(imap: RawImap, name: string, count: number, every: number): Promise<void> {
  await imap.command(`SELECT ${name}`)
  const numbers = Array.from({ length: Math.floor(count / every) }, (_, at) => (at + 1) * every)
  const exists = (await imap.command('SEARCH ALL')).flatMap(({ text }) => text.split(' ').slice(2)).length
  const existing = numbers.filter((number) => number <= exists)
  const marked = (await imap.command('UID SEARCH DELETED'))
    .flatMap(({ text }) => text.split(' ').slice(2))
    .filter(Boolean)
  if (marked.length > 0) await imap.command(`UID STORE ${marked.join(',')} -FLAGS.SILENT (\\Deleted)`)
  if (existing.length > 0) await imap.command(`STORE ${existing.join(',')} +FLAGS.SILENT (\\Deleted)`)
  await imap.command('EXPUNGE')
  if (marked.length > 0) await imap.command(`UID STORE ${marked.join(',')} +FLAGS.SILENT (\\Deleted)`).catch(() => {})
  await imap.command('UNSELECT').catch(async () => await imap.command('EXAMINE INBOX'))
}

/** RFC 3501 date-time, in UTC. */
function imapDate(milliseconds: number): string {
  const [, day, month, year, time] = new Date(milliseconds).toUTCString().split(' ')
  return `${day}-${month}-${year} ${time} +0000`
}
