/** What an IMAP server has of one user, by LIST, STATUS and sizes alone: nothing is fetched, nothing changed. */
import { BackendError } from '#gateway/backend/errors.ts'
import type { ImapSession } from '#gateway/backend/imap/session.ts'
import { listThere } from '#gateway/sync/imap/list.ts'
import { nameHere, pairNames } from '#gateway/sync/imap/names.ts'
import type { BackendCount } from './notes.ts'
import type { Risk } from './risks.ts'
import { sizes } from './sizes.ts'

export interface Counted extends Pick<BackendCount, 'mailboxes' | 'messages' | 'octets' | 'largest' | 'uidl'> {
  readonly risks: readonly Risk[]
}

/** `prefix`: before the names here. Throws BackendError. */
export const countImap = async ({ control }: ImapSession, prefix: string): Promise<Counted> => {
  const { mailboxes, namespace, unreachable, gone } = await listThere(control)
  const total = sizes()
  const closed: string[] = [...unreachable, ...gone]
  for (const { path, status } of mailboxes) {
    if (status?.exists === 0) continue
    try {
      await control.mailboxOpen(path, { readOnly: true })
      if (control.mailbox === false || control.mailbox.exists === 0) continue
      for await (const { size } of control.fetch('1:*', { size: true })) total.add(size ?? 0, path)
    } catch (error) {
      if (!control.usable)
        throw new BackendError('closed', 'the connection was lost while a mailbox was looked at', { cause: error })
      closed.push(path)
    }
  }
  const policy = { prefix, namespace, isOurs: () => true }
  const names = pairNames(mailboxes, new Map(), policy)
  const risks: Risk[] = [...total.risks()]
  const byWanted = Map.groupBy(mailboxes, (mailbox) => nameHere(mailbox, policy))
  const colliding = [...byWanted].filter(([, group]) => group.length > 1)
  if (colliding.length > 0)
    risks.push({
      kind: 'colliding-names',
      found: listed(
        colliding.map(([name, group]) => `${group.map(({ path }) => quoted(path)).join(' and ')} as ${quoted(name)}`),
      ),
    })
  const collided = new Set(colliding.flatMap(([, group]) => group.map(({ path }) => path)))
  const changed = mailboxes.flatMap(({ path, delimiter }) => {
    const kept =
      delimiter === undefined
        ? path
        : path.slice(path.startsWith(namespace) ? namespace.length : 0).replaceAll(delimiter, '/')
    const name = names.get(path)!
    return collided.has(path) || path.toUpperCase() === 'INBOX' || name === prefix + kept.normalize('NFC')
      ? []
      : [`${quoted(path)} as ${quoted(name)}`]
  })
  if (changed.length > 0) risks.push({ kind: 'changed-names', found: listed(changed) })
  if (closed.length > 0) risks.push({ kind: 'unreadable-mailboxes', found: listed(closed.map(quoted)) })
  return { mailboxes: mailboxes.length, ...total.counts, risks }
}

const shown = 5
const quoted = (text: string): string => JSON.stringify(text.slice(0, 200))
const listed = (texts: readonly string[]): string =>
  texts.length <= shown ? texts.join(', ') : `${texts.slice(0, shown).join(', ')} and ${texts.length - shown} more`
