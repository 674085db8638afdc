/** The same conversation that a client begins with: UIDL and LIST. RFC 1939 §5, §7 */
import { BackendError } from '#gateway/backend/errors.ts'
import type { PopClient } from '#gateway/backend/types.ts'
import { hasUniqueId } from '#gateway/sync/origin.ts'
import { listIdentified } from '#gateway/sync/sync.ts'
import type { Account, Mailbox } from '#src/store/types.ts'
import type { MailboxThere, There } from './there.ts'

/** The maildrop has no name of its own there. */
const path = 'INBOX'

/** `mailbox`: here, which the maildrop fills. */
export const pop3There = (url: string, client: PopClient, account: Account, mailbox: Mailbox): There => ({
  url,
  leftOut: [],
  expected: client.count,
  async *mailboxes() {
    const { listed, identified } = await listIdentified({ url, client, account, mailbox })
    const sizes = await client.list().catch((error: unknown) => {
      if (error instanceof BackendError && !error.retryable) return new Map<number, number>()
      throw error
    })
    const origins = new Map(identified.map(({ number, origin }) => [number, origin] as const))
    const numberAt = (position: number) => listed[position]!.number
    const at = new Map(listed.map(({ number }, position) => [number, position] as const))
    yield {
      path,
      subscribed: undefined,
      uidValidity: undefined,
      uidNext: undefined,
      listed: Math.max(listed.length, client.count),
      messages: {
        length: listed.length,
        // One that can't be told from others has no name that lasts.
        originAt: (position) => origins.get(numberAt(position)) ?? `${url}n:${numberAt(position)}`,
        uidAt: () => undefined,
        uidlAt: (position) => listed[position]!.uidl || undefined,
        sizeAt: (position) => sizes.get(numberAt(position)),
        dateAt: () => undefined,
        flagsAt: () => undefined,
      },
      idHere: mailbox.id,
      isPending: (position) => !hasUniqueId(origins.get(numberAt(position)) ?? url),
      sinceLastPass: listed.length,
      bodies: (positions, open, refused) =>
        client.retrieve(
          positions.map(numberAt),
          (number) => open(at.get(number)!),
          (number, error) => refused(at.get(number)!, error),
        ),
    } satisfies MailboxThere
  },
})
