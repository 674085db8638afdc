/** What tests and proofs do with a store, in one line each. */

import { systemClock } from '#src/base/clock.ts'
import type { Uid, UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { openStore, type StoreOptions } from '#src/store/store.ts'
import type { Mailbox, NewMessage, Store } from '#src/store/types.ts'

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

export async function textOf(mailbox: Mailbox, value: number): Promise<string> {
  await using content = await mailbox.content(mailbox.byUid(uid(value))!)
  return (await content.read(0, content.sizeOctets)).toString('latin1')
}
