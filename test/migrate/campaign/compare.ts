/** What is not the same on both sides, and what of it is told of in the documents. */
import { fromWire } from './names.ts'
import type { SeenAccount, SeenMailbox } from './read-imap.ts'
import type { SeenInMaildrop } from './read-pop3.ts'

export interface Comparison {
  readonly differences: string[]
  /** Where the two can't be the same, by reason: how often. */
  readonly exceptions: Map<string, number>
  /** Names here of mailboxes that have another name there. */
  readonly renamed: Map<string, string>
  mailboxes: number
  messages: number
  octets: number
}

export const newComparison = (): Comparison => ({
  differences: [],
  exceptions: new Map(),
  renamed: new Map(),
  mailboxes: 0,
  messages: 0,
  octets: 0,
})

export function add(total: Comparison, { differences, exceptions, mailboxes, messages, octets }: Comparison): void {
  total.differences.push(...differences)
  for (const [reason, times] of exceptions) except(total, reason, times)
  total.mailboxes += mailboxes
  total.messages += messages
  total.octets += octets
}

export const except = ({ exceptions }: Comparison, reason: string, times = 1): void => {
  exceptions.set(reason, (exceptions.get(reason) ?? 0) + times)
}

/** The account at the old server, and the one here. */
export function compareImap(there: SeenAccount, here: SeenAccount): Comparison {
  const result = newComparison()
  const { differences } = result
  const left = new Map(here.mailboxes)
  const namesHere = new Map<string, string>()
  for (const [name, mailbox] of there.mailboxes) {
    const found = left.has(name) ? name : renamed(name, mailbox, left)
    if (found === undefined) {
      differences.push(`${name}: is not here`)
      continue
    }
    if (found !== name) {
      result.renamed.set(name, found)
      const reason = whyRenamed(name, found)
      if (reason === undefined) differences.push(`${name}: is ${found} here`)
      else except(result, `a mailbox has another name here: ${reason}`)
    }
    namesHere.set(name, found)
    result.mailboxes += 1
    result.messages += mailbox.messages.length
    result.octets += mailbox.messages.reduce((sum, { octets }) => sum + octets, 0)
    differences.push(...compareMailbox(name, mailbox, left.get(found)!))
    left.delete(found)
  }
  for (const name of left.keys()) differences.push(`${name}: is here, and not there`)
  const wanted = new Set<string>()
  for (const name of there.subscribed) {
    const found = namesHere.get(name)
    if (found === undefined) except(result, 'a subscription to what is no mailbox')
    else wanted.add(found)
  }
  for (const name of wanted) if (!here.subscribed.has(name)) differences.push(`${name}: is not subscribed to here`)
  for (const name of here.subscribed) {
    if (wanted.has(name)) continue
    if (name === 'INBOX') except(result, 'a new account here begins with a subscription to INBOX')
    else differences.push(`${name}: is subscribed to here, and not there`)
  }
  return result
}

/** The one that has its UIDVALIDITY and its messages. */
function renamed(name: string, mailbox: SeenMailbox, left: ReadonlyMap<string, SeenMailbox>): string | undefined {
  const digests = ({ messages }: SeenMailbox) => messages.map(({ digest }) => digest).join()
  for (const [candidate, { uidValidity, messages }] of left)
    if (
      uidValidity === mailbox.uidValidity &&
      digests({ uidValidity, messages }) === digests(mailbox) &&
      candidate !== 'INBOX'
    )
      if (whyRenamed(name, candidate) !== undefined) return candidate
  return undefined
}

/** docs/protocols.md: names are NFC (RFC 5198), a slash is always between levels, and INBOX in any case is the inbox. */
function whyRenamed(there: string, here: string): string | undefined {
  const [name, found] = [fromWire(there), fromWire(here)]
  const likeness = found.replace(/ \([0-9a-f]{8}\)$/, '')
  if (name.normalize('NFC') !== name && name.normalize('NFC') === likeness) return 'it is not in normal form C'
  if (name.normalize('NFC') === likeness) return 'another one has its name in normal form C'
  if (/^inbox_?$/i.test(likeness.split('/')[0]!) && likeness.replace('_', '').toUpperCase() === name.toUpperCase())
    return 'INBOX in any case is the inbox'
  return undefined
}

function compareMailbox(name: string, there: SeenMailbox, here: SeenMailbox): string[] {
  const differences: string[] = []
  if (there.uidValidity !== here.uidValidity)
    differences.push(`${name}: UIDVALIDITY is ${there.uidValidity}, and ${here.uidValidity} here`)
  const byUid = new Map(here.messages.map((message) => [message.uid, message]))
  for (const message of there.messages) {
    const found = byUid.get(message.uid)
    byUid.delete(message.uid)
    const at = `${name}: UID ${message.uid}`
    if (found === undefined) {
      differences.push(`${at} is not here (${message.octets} octets)`)
      continue
    }
    for (const key of ['digest', 'flags', 'received'] as const)
      if (found[key] !== message[key])
        differences.push(
          `${at}: ${key} ${message[key]} (${message.octets} octets), and ${found[key]} (${found.octets}) here`,
        )
  }
  for (const uid of byUid.keys()) differences.push(`${name}: UID ${uid} is here, and not there`)
  return differences
}

export function comparePop3(there: readonly SeenInMaildrop[], here: readonly SeenInMaildrop[]): Comparison {
  const result = newComparison()
  result.mailboxes = 1
  result.messages = there.length
  result.octets = there.reduce((sum, { octets }) => sum + octets, 0)
  if (there.length !== here.length)
    result.differences.push(`the maildrop has ${there.length} messages, and ${here.length} here`)
  for (const [at, { uidl, digest }] of there.entries()) {
    const found = here[at]
    if (found?.uidl !== uidl) result.differences.push(`message ${at + 1}: unique-id ${uidl}, and ${found?.uidl} here`)
    else if (found.digest !== digest) result.differences.push(`message ${at + 1}, ${uidl}: other octets here`)
  }
  return result
}
