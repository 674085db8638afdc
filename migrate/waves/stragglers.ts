/** Mail that comes from the old server behind the cutover: what a pass brought, and who sent it. */
import { backendUrl } from '#gateway/backend/backend-url.ts'
import type { UserId } from '#src/base/ids.ts'
import type { UserBackends } from '#src/config/backends.ts'
import { decodeEncodedWords } from '#src/mime/encoded-word.ts'
import { readEnvelope } from '#src/mime/envelope.ts'
import type { Address } from '#src/mime/types.ts'
import type { Account, Mailbox, MessageRecord } from '#src/store/types.ts'
import { maxStragglers, type Straggler } from './notes.ts'

/** UIDNEXT of each mailbox, by its id: a renamed one is the same. */
export type Places = Readonly<Record<string, number>>

/** Throws StoreError. */
export const placesOf = async (account: Account): Promise<Places> => {
  const places: Record<string, number> = {}
  if (!(await account.exists())) return places
  for (const { name, selectable } of await account.list()) {
    if (!selectable) continue
    const { mailboxId, uidNext } = await account.status(name)
    places[mailboxId] = uidNext
  }
  return places
}

export interface Arrived {
  readonly count: number
  /** The newest of them. */
  readonly stragglers: readonly Straggler[]
}

/** What came since from the backends of the user; mail from elsewhere is none of it. Throws StoreError. */
export const arrivedSince = async (
  account: Account,
  userId: UserId,
  backends: UserBackends,
  before: Places,
  at: number,
): Promise<Arrived> => {
  const urls = [backends.master, ...backends.extra].map((backend) => backendUrl(backend, userId))
  const stragglers: Straggler[] = []
  let count = 0
  for (const { name, selectable } of await account.list()) {
    if (!selectable) continue
    const { mailboxId, uidNext } = await account.status(name)
    const from = before[mailboxId] ?? 1
    if (uidNext <= from) continue
    await using mailbox = await account.open(name)
    const { messages } = mailbox
    for (let place = messages.length - 1; place >= 0 && messages.uidAt(place) >= from; place--) {
      const origin = messages.originAt(place)
      if (!urls.some((url) => origin?.startsWith(url))) continue
      count += 1
      if (stragglers.length < maxStragglers) stragglers.push(await stragglerOf(mailbox, messages.at(place)!, at))
    }
  }
  return { count, stragglers }
}

const stragglerOf = async (mailbox: Mailbox, message: MessageRecord, at: number): Promise<Straggler> => {
  const { fields } = await mailbox.summary(message)
  const envelope = readEnvelope(
    fields.map(([name, raw]) => ({ name, raw })),
    1,
  )
  return {
    at,
    mailbox: mailbox.name,
    from: addressOf(envelope.from?.[0]),
    subject: shown(decodeEncodedWords(envelope.subject ?? '')),
  }
}

const addressOf = (address: Address | undefined): string =>
  address === undefined ? '' : shown(`${address.mailbox ?? ''}@${address.host ?? ''}`)

/** Fits a terminal, and does nothing to it. */
const shown = (text: string): string => text.replace(/[\x00-\x1f\x7f-\x9f]/g, ' ').slice(0, 200)
