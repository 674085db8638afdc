/** Checks what is derived from the messages: entries of the caches that check out have to be the ones that the messages give. */

import { orderKeys } from '../../mime/order-keys.ts'
import { previewOf } from '../../mime/preview.ts'
import { type BlockKind, blockUids, firstIn } from '../block-files.ts'
import { type FileStatus, unlessAbsent } from '../fs.ts'
import { keyEntry, keyKind } from '../key-block.ts'
import { searchedText } from '../searched-text.ts'
import { readSummaryLine, summaryKind, summaryLine } from '../summary-block.ts'
import { textEntry, textKind, textOf } from '../text-block.ts'
import type { MessageRecord } from '../types.ts'
import { type FreshMessage, freshMessage, recordsOf, samples, writingMs } from './derived.ts'
import type { FindingKind } from './finding.ts'
import { checkAge, statuses } from './folders-check.ts'
import type { MailboxCheck } from './mailbox-check.ts'
import { checkStray } from './stray.ts'

interface Derived {
  readonly kind: BlockKind
  /** Of a message whose entry is another one. */
  readonly wrong: string
  /** The entry that the message gives; undefined when it is not kept. `entry` is the one that there is. */
  fresh(message: FreshMessage, digest: string, entry: Buffer): Promise<Buffer | undefined>
}

const caches: readonly Derived[] = [
  {
    kind: summaryKind,
    wrong: 'its summary is not that of the message',
    async fresh({ summary, content }, digest, entry) {
      // A preview is there once somebody asked for it.
      if (readSummaryLine(entry)?.summary.preview === undefined) return summaryLine(digest, summary)
      const preview = await previewOf(summary.root, (start, end) => content.read(start, end))
      return summaryLine(digest, { ...summary, preview })
    },
  },
  {
    kind: keyKind,
    wrong: 'its order keys are not those of the message',
    fresh: async ({ summary }, digest) => keyEntry(digest, orderKeys(summary)),
  },
  {
    kind: textKind,
    wrong: 'its text is not that of the message',
    fresh: async ({ summary, content }, digest) => textEntry(digest, await textOf(searchedText(content, summary.root))),
  },
]

export async function checkCache(check: MailboxCheck): Promise<void> {
  const { run, place, directory } = check
  for await (const [name, status] of statuses(run, `${directory}/cache`)) {
    const path = `${directory}/cache/${name}`
    const derived = caches.find(({ kind }) => name.startsWith(kind.prefix))
    if (status.kind !== 'file' || derived === undefined) {
      await checkStray(run, place, path, status)
      continue
    }
    if (!(await run.checkAccess(path, status, place))) continue
    const first = firstIn(derived.kind, name)
    if (first === undefined) await checkAge(run, place, path, status)
    else await checkBlock(check, path, status, first, derived)
  }
}

async function checkBlock(
  check: MailboxCheck,
  path: string,
  status: FileStatus,
  first: number,
  { kind, wrong, fresh }: Derived,
): Promise<void> {
  const { run, place } = check
  const drop = async () => {
    await unlessAbsent(run.fs.remove(path))
  }
  const found = (finding: FindingKind, detail: string, record?: MessageRecord) =>
    run.found({ kind: finding, path, userId: place.userId, mailbox: place.mailbox, uid: record?.uid, detail }, drop)
  const file = await unlessAbsent(run.fs.open(path))
  if (file === undefined) return
  let octets: Buffer
  try {
    octets = await file.read(0, Math.min(file.sizeOctets, kind.maxOctets))
  } finally {
    await file.close()
  }
  const { entries, isWhole } = kind.read(octets)
  if (!isWhole && run.clock.now() - status.changedMs > writingMs)
    return void (await found('cache-damaged', 'an entry does not check out'))
  const alive = [...recordsOf(check, first, blockUids).values()].filter(({ digest }) => entries.has(digest))
  for (const record of samples(check, alive)) {
    const entry = entries.get(record.digest)!
    const ofMessage = await freshMessage(check, record, (message) => fresh(message, record.digest, entry))
    if (ofMessage !== undefined && !ofMessage.equals(entry)) return void (await found('cache-wrong', wrong, record))
  }
}
