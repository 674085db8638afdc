/** What is done to the mailbox that is selected at an IMAP backend. Each call is one command for many messages, as far as IMAP lets it. */
import type { Uid } from '#src/base/ids.ts'
import type { Flag } from '#src/store/types.ts'
import { formatUids } from '#src/store/uid-set.ts'
import { BackendError } from '../../backend/errors.ts'
import type { ImapFlow } from '../../backend/imap/control.ts'
import { printable } from '../../backend/reply-classifier.ts'
import type { FlagChanges } from './plan.ts'

/** UIDs in one command: sets of single numbers are long, and servers limit their lines. */
const uidsAtOnce = 1000

/** Selects a mailbox that was looked into before. Throws BackendError when it is another one by now. */
export async function openAgain(client: ImapFlow, path: string, uidValidity: number): Promise<void> {
  const mailbox = await carriedOut(client, client.mailboxOpen(path), 'open a mailbox')
  if (Number(mailbox.uidValidity) !== uidValidity)
    throw new BackendError('temporary', 'a mailbox at the backend was replaced meanwhile')
}

export async function storeFlags(client: ImapFlow, changes: readonly FlagChanges[]): Promise<void> {
  const groups = new Map<
    string,
    { readonly word: 'add' | 'remove' | 'set'; readonly flags: readonly Flag[]; uids: Uid[] }
  >()
  const note = (word: 'add' | 'remove' | 'set', flags: readonly Flag[], uid: Uid) => {
    if (flags.length === 0 && word !== 'set') return
    const key = `${word} ${flags.toSorted().join(' ')}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { word, flags, uids: [uid] })
    else group.uids.push(uid)
  }
  for (const change of changes) {
    if ('set' in change) note('set', change.set, change.uid)
    else {
      note('add', change.add, change.uid)
      note('remove', change.remove, change.uid)
    }
  }
  const options = { uid: true, silent: true }
  for (const { word, flags, uids } of groups.values())
    for (const some of sets(uids)) {
      const set = formatUids(some)
      const done =
        word === 'add'
          ? client.messageFlagsAdd(set, [...flags], options)
          : word === 'remove'
            ? client.messageFlagsRemove(set, [...flags], options)
            : client.messageFlagsSet(set, [...flags], options)
      await carriedOut(client, done, 'change flags')
    }
}

/**
 * Deletes messages for good. Without UIDPLUS an EXPUNGE takes everything that is marked: then it is only given when nothing else is, and the
 * marked messages go when somebody expunges them. Answers those that are gone.
 */
export async function deleteMessages(client: ImapFlow, uids: readonly Uid[]): Promise<readonly Uid[]> {
  if (client.capabilities.has('UIDPLUS')) {
    for (const set of sets(uids))
      await carriedOut(client, client.messageDelete(formatUids(set), { uid: true }), 'delete messages')
    return uids
  }
  for (const set of sets(uids))
    await carriedOut(
      client,
      client.messageFlagsAdd(formatUids(set), ['\\Deleted'], { uid: true, silent: true }),
      'mark messages',
    )
  const marked = (await client.search({ deleted: true }, { uid: true })) as number[] | false
  const ours = new Set<number>(uids)
  if (marked === false || marked.some((uid) => !ours.has(uid))) return []
  const { response, next } = await (client as unknown as RawClient).exec('EXPUNGE')
  // Without it the client reads nothing any more.
  next()
  if (response.command !== 'OK') throw new BackendError('temporary', 'the backend refused to expunge')
  return uids
}

/** imapflow has no call for a plain EXPUNGE. */
interface RawClient {
  exec(command: string): Promise<{ readonly response: { readonly command: string }; readonly next: () => void }>
}

/** Adds one message. Answers its UID there where the server tells it (UIDPLUS), so that it is not fetched back. */
export async function upload(
  client: ImapFlow,
  path: string,
  octets: Buffer,
  flags: readonly Flag[],
  internalDate: number,
): Promise<{ readonly uid: Uid; readonly uidValidity: number } | undefined> {
  const kept = flags.filter((flag) => flag.toLowerCase() !== '\\recent')
  const answer = await carriedOut(
    client,
    client.append(path, octets, kept, new Date(internalDate * 1000)),
    'take a message',
  )
  return answer.uid === undefined || answer.uidValidity === undefined
    ? undefined
    : { uid: answer.uid as Uid, uidValidity: Number(answer.uidValidity) }
}

/** Ascending. */
export function* sets(uids: readonly Uid[]): Iterable<readonly Uid[]> {
  const ascending = uids.toSorted((a, b) => a - b)
  for (let at = 0; at < ascending.length; at += uidsAtOnce) yield ascending.slice(at, at + uidsAtOnce)
}

/** imapflow tells refusals by `false` or by an error with the server's words. */
async function carriedOut<T>(client: ImapFlow, work: Promise<T | false>, what: string): Promise<T> {
  let told = ''
  try {
    const result = await work
    if (result !== false) return result
  } catch (error) {
    told = (error as { responseText?: string }).responseText ?? ''
    if (!client.usable) throw new BackendError('closed', 'the backend ended the session', { cause: error })
  }
  if (!client.usable) throw new BackendError('closed', 'the backend ended the session')
  throw new BackendError(
    'temporary',
    `the backend refused to ${what}`,
    told === '' ? {} : { serverText: printable(told) },
  )
}
