/** Checks the order keys that are derived from the messages: those that check out have to be the ones that the messages give. */

import { orderKeys } from '../../mime/order-keys.ts'
import { type FileStatus, unlessAbsent } from '../fs.ts'
import { keyBlockUids, keyEntry, maxKeyBlockOctets, readKeyEntries } from '../key-block.ts'
import type { MessageRecord } from '../types.ts'
import { freshSummary, recordsOf, samples, writingMs } from './derived.ts'
import type { FindingKind } from './finding.ts'
import type { MailboxCheck } from './mailbox-check.ts'

export async function checkKeyBlock(
  check: MailboxCheck,
  path: string,
  status: FileStatus,
  first: number,
): Promise<void> {
  const { run, place } = check
  const drop = async () => {
    await unlessAbsent(run.fs.remove(path))
  }
  const found = (kind: FindingKind, detail: string, record?: MessageRecord) =>
    run.found({ kind, path, userId: place.userId, mailbox: place.mailbox, uid: record?.uid, detail }, drop)
  const file = await unlessAbsent(run.fs.open(path))
  if (file === undefined) return
  let octets: Buffer
  try {
    octets = await file.read(0, Math.min(file.sizeOctets, maxKeyBlockOctets))
  } finally {
    await file.close()
  }
  const { entries, isWhole } = readKeyEntries(octets)
  if (!isWhole && run.clock.now() - status.changedMs > writingMs)
    return void (await found('cache-damaged', 'an entry does not check out'))
  const alive = [...recordsOf(check, first, keyBlockUids).values()].filter(({ digest }) => entries.has(digest))
  for (const record of samples(check, alive)) {
    const summary = await freshSummary(check, record)
    if (summary !== undefined && !keyEntry(record.digest, orderKeys(summary)).equals(entries.get(record.digest)!))
      return void (await found('cache-wrong', 'its order keys are not those of the message', record))
  }
}
