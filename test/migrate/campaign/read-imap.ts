/** All that an IMAP server tells of an account, asked for command by command. */
import { createHash } from 'node:crypto'
import { type ImapValue, parseLine } from '../../support/imap-values.ts'
import { RawImap } from '../../support/raw-imap.ts'
import { quoted } from './names.ts'

export interface SeenMessage {
  readonly uid: number
  /** SHA-256 of the octets. */
  readonly digest: string
  readonly octets: number
  /** Sorted, without \Recent. */
  readonly flags: string
  /** Seconds since 1970. */
  readonly received: number
}

export interface SeenMailbox {
  readonly uidValidity: number
  readonly messages: readonly SeenMessage[]
}

export interface SeenAccount {
  /** By name on the wire, without what the server puts before the names of one's own, and with '/' between levels. */
  readonly mailboxes: ReadonlyMap<string, SeenMailbox>
  readonly subscribed: ReadonlySet<string>
  readonly delimiter: string
}

const atOnce = 200

/** RFC 2342; where the server does not know it, the delimiter that LIST tells. */
export async function personalNamespace(imap: RawImap): Promise<{ prefix: string; delimiter: string }> {
  const lines = await imap.command('NAMESPACE')
  const [, , personal] = parseLine(lines.find(({ text }) => text.startsWith('* NAMESPACE'))!)
  const [prefix, delimiter] = (personal as ImapValue[])[0] as string[]
  return { prefix: prefix!, delimiter: delimiter! }
}

export async function readImap(port: number, user: string, password: string): Promise<SeenAccount> {
  await using imap = await RawImap.connect(port)
  await imap.login(user, password)
  const { prefix, delimiter } = await personalNamespace(imap)
  const list = async (word: 'LIST' | 'LSUB') =>
    (await imap.command(`${word} "" "*"`)).flatMap((line) => {
      const [, kind, attributes, , name] = parseLine(line)
      const isMailbox = !(attributes as string[] | undefined)?.some((one) => /^\\(noselect|nonexistent)$/i.test(one))
      return kind === word && isMailbox ? [name as string] : []
    })
  const plain = (name: string) =>
    (name.startsWith(prefix) && name !== prefix ? name.slice(prefix.length) : name).split(delimiter).join('/')
  const mailboxes = new Map<string, SeenMailbox>()
  for (const name of await list('LIST')) mailboxes.set(plain(name), await readMailbox(imap, name))
  return { mailboxes, subscribed: new Set((await list('LSUB')).map(plain)), delimiter }
}

async function readMailbox(imap: RawImap, name: string): Promise<SeenMailbox> {
  const opened = await imap.command(`EXAMINE ${quoted(name)}`)
  const uidValidity = Number(opened.flatMap(({ text }) => /UIDVALIDITY (\d+)/.exec(text)?.[1] ?? [])[0])
  const exists = Number(opened.flatMap(({ text }) => /^\* (\d+) EXISTS/.exec(text)?.[1] ?? [])[0])
  const messages: SeenMessage[] = []
  for (let first = 1; first <= exists; first += atOnce) {
    const lines = await imap.command(
      `FETCH ${first}:${Math.min(exists, first + atOnce - 1)} (UID FLAGS INTERNALDATE BODY.PEEK[])`,
    )
    for (const line of lines) {
      if (!/^\* \d+ FETCH /.test(line.text)) continue
      const items = parseLine(line)[3] as ImapValue[]
      const item = (key: string) => items[items.indexOf(key) + 1]
      if (!items.includes('BODY[]')) continue
      const octets = Buffer.from((item('BODY[]') as string | undefined) ?? '', 'latin1')
      messages.push({
        uid: Number(item('UID')),
        digest: createHash('sha256').update(octets).digest('hex'),
        octets: octets.length,
        flags: (item('FLAGS') as string[])
          .filter((flag) => flag !== '\\Recent')
          .sort()
          .join(' '),
        received: Date.parse(item('INTERNALDATE') as string) / 1000,
      })
    }
  }
  if (messages.length !== exists) throw new Error(`${name}: ${exists} messages, and FETCH gave ${messages.length}`)
  return { uidValidity, messages }
}
