/** Stores a copy of a message that a script sent. RFC 8580 */
import { StoreError } from '../../base/errors.ts'
import type { Placing, Recipient } from '../types.ts'

/** Throws StoreError. */
export async function fileCopy(
  { mailbox: name, account: other, flags, create }: Placing,
  { account: own, adding }: Recipient,
  octets: Buffer,
  internalDate: number,
): Promise<void> {
  const account = other ?? own
  const isMissing = create && (await account.findId(name)) === undefined
  if (isMissing)
    await account.create(name).catch((error: unknown) => {
      if (!(error instanceof StoreError) || error.kind !== 'already-exists') throw error
    })
  await using mailbox = await account.open(name)
  await adding(octets.length, async () => {
    await using delivery = mailbox.deliver()
    const sink = delivery.add({ internalDate, flags })
    await sink.write(octets)
    await sink.end()
    await delivery.commit()
  })
}
