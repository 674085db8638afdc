/** What tests and proofs do with a store, in one line each. */

import { systemClock } from '#src/base/clock.ts'
import type { Uid, UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { Announcement } from '#src/store/announcement.ts'
import { openStore, type StoreOptions } from '#src/store/store.ts'
import type { Mailbox, NewMessage, SharedMessage, Store } from '#src/store/types.ts'

export const user = 'lena@example.com' as UserId
export const uid = (value: number) => value as Uid
export const uids = (...values: number[]) => values as Uid[]

export function storeIn(root: string, options: Partial<StoreOptions> = {}): Store {
  return openStore({ root, clock: systemClock, log: silentLog, epochKeepMs: 0, ...options })
}

export async function deliver(mailbox: Mailbox, text: string, message: Partial<NewMessage> = {}) {
  const [delivered] = await deliverAll(mailbox, [{ text, ...message }])
  return delivered!
}

export async function deliverAll(mailbox: Mailbox, messages: readonly (Partial<NewMessage> & { text: string })[]) {
  await using delivery = mailbox.deliver()
  for (const { text, ...message } of messages) {
    const sink = delivery.add({ internalDate: 1_700_000_000, ...message })
    await sink.write(Buffer.from(text))
    await sink.end()
  }
  return await delivery.commit()
}

/** One that has ended, to be added to deliveries. Above so many octets it lies in a file beside the account's mail. */
export async function share(store: Store, text: string, memoryOctets = 1_000): Promise<SharedMessage> {
  const shared = store.share({ memoryOctets, near: async () => store.account(user) })
  await shared.write(Buffer.from(text))
  await shared.end()
  return shared
}

export async function deliverShared(mailbox: Mailbox, shared: SharedMessage, handed?: string) {
  await using delivery = mailbox.deliver()
  delivery.addShared({ internalDate: 1_700_000_000, ...(handed === undefined ? {} : { handed }) }, shared)
  const [delivered] = await delivery.commit()
  return delivered!
}

/** Their origins differ in the number at their end, and nowhere else. With `givesUids` that is the UID which each is to have. */
export async function announce(
  mailbox: Mailbox,
  messages: readonly {
    readonly origin: string
    readonly internalDate: number
    readonly sizeOctets: number
    readonly flags?: readonly string[]
  }[],
  { givesUids = false }: { readonly givesUids?: boolean } = {},
): Promise<number> {
  const prefix = messages[0]!.origin.replace(/[0-9]+$/, '')
  const announcement = new Announcement(prefix, { givesUids })
  announcement.sets = messages.map(({ flags = [] }) => flags)
  for (const [set, { origin, internalDate, sizeOctets }] of messages.entries())
    announcement.add(Number(origin.slice(prefix.length)), internalDate, sizeOctets, set)
  return await mailbox.announce(announcement)
}

export async function textOf(mailbox: Mailbox, value: number): Promise<string> {
  await using content = await mailbox.content(mailbox.byUid(uid(value))!)
  return (await content.read(0, content.sizeOctets)).toString('latin1')
}
