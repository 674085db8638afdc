import { type Clock, systemClock } from '#src/base/clock.ts'
import { silentLog } from '#src/base/log.ts'
import { deliver } from '#src/delivery/deliver.ts'
import { createDeliverer, type DeliveryOptions } from '#src/delivery/deliverer.ts'
import type { Deliverer, Fate, Filter, MessageTrack, Recipient } from '#src/delivery/types.ts'
import type { Account, Store } from '#src/store/types.ts'

export const plainOptions: DeliveryOptions = {
  memoryOctets: 2_097_152,
  autocreate: true,
  isOverQuotaTemporary: true,
  suppressesDuplicates: false,
}

/** Remembers nothing; for deliveries that never ask. */
const noTrack: MessageTrack = {
  find: async () => undefined,
  add: async () => {},
  async *list() {},
  close: async () => {},
}

export const testDeliverer = (
  store: Store,
  parts: {
    readonly options?: Partial<DeliveryOptions>
    readonly clock?: Clock
    readonly track?: MessageTrack
    readonly filter?: Filter
  } = {},
): Deliverer =>
  createDeliverer({
    store,
    clock: systemClock,
    log: silentLog,
    hostName: 'mail.example.org',
    track: noTrack,
    ...parts,
    options: () => ({ ...plainOptions, ...parts.options }),
  })

export const recipientOf = (account: Account, changes: Partial<Recipient> = {}): Recipient => ({
  address: account.userId,
  parameters: new Map(),
  detail: undefined,
  userId: account.userId,
  account,
  mailbox: 'INBOX',
  adding: (_, work) => work(),
  ...changes,
})

/** As a mail server hands it over by a pipe. */
export const deliverTo = (
  store: Store,
  account: Account,
  octets: AsyncIterable<Uint8Array> | Buffer,
  { clock = systemClock, ...recipient }: Partial<Recipient> & { readonly clock?: Clock } = {},
): Promise<Fate> =>
  deliver(
    testDeliverer(store, { clock }),
    recipientOf(account, recipient),
    Buffer.isBuffer(octets) ? once(octets) : octets,
    { clock },
  )

async function* once(octets: Buffer) {
  yield octets
}
