/** Checks what is derived for searches: texts that check out have to be those of the messages. */

import { summarizeStream } from '../../mime/summary.ts'
import { FileContent } from '../content.ts'
import { digestOf } from '../digest.ts'
import { type FileStatus, type OpenFile, unlessAbsent } from '../fs.ts'
import { searchedText } from '../searched-text.ts'
import { blockUids } from '../summary-block.ts'
import { type MessageText, maxTextBlockOctets, readTextEntries, textEntry, textOf } from '../text-block.ts'
import type { MessageRecord } from '../types.ts'
import { recordsOf, samples, writingMs } from './derived.ts'
import type { FindingKind } from './finding.ts'
import type { MailboxCheck } from './mailbox-check.ts'

export async function checkTexts(check: MailboxCheck, path: string, status: FileStatus, first: number): Promise<void> {
  const { run, place, directory } = check
  const drop = async () => {
    await unlessAbsent(run.fs.remove(path))
  }
  const found = (kind: FindingKind, detail: string, record?: MessageRecord) =>
    run.found({ kind, path, userId: place.userId, mailbox: place.mailbox, uid: record?.uid, detail }, drop)
  const file = await unlessAbsent(run.fs.open(path))
  if (file === undefined) return
  let octets: Buffer
  try {
    octets = await file.read(0, Math.min(file.sizeOctets, maxTextBlockOctets))
  } finally {
    await file.close()
  }
  const { texts, isWhole } = readTextEntries(octets)
  if (!isWhole && run.clock.now() - status.changedMs > writingMs)
    return void (await found('cache-damaged', 'an entry does not check out'))
  const alive = [...recordsOf(check, first, blockUids).values()].filter(({ digest }) => texts.has(digest))
  for (const record of samples(check, alive)) {
    const fresh = await freshEntry(() => run.fs.open(`${directory}/msg/${record.file}`), record)
    if (fresh !== undefined && !fresh.equals(textEntry(record.digest, texts.get(record.digest))))
      return void (await found('cache-wrong', 'its text is not that of the message', record))
  }
}

/** undefined when the message can't be read, or is not what came, which is told of by itself. */
async function freshEntry(open: () => Promise<OpenFile>, record: MessageRecord): Promise<Buffer | undefined> {
  try {
    const file = await open()
    await using content = new FileContent(file)
    if (content.sizeOctets !== record.sizeOctets || (await digestOf(file)) !== record.digest) return undefined
    const { root } = await summarizeStream(content.stream())
    const text: MessageText | undefined = await textOf(searchedText(content, root))
    return textEntry(record.digest, text)
  } catch {
    return undefined
  }
}
