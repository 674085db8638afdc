/** Checks what is derived from the messages: summaries that check out have to be the ones that the messages give. */

import { previewOf } from '../../mime/preview.ts'
import type { MessageSummary } from '../../mime/types.ts'
import { FileContent } from '../content.ts'
import { type FileStatus, unlessAbsent } from '../fs.ts'
import { keyBlockPattern, keyFilePrefix } from '../key-cache.ts'
import { blockUids, maxBlockOctets, readSummaryLine } from '../summary-block.ts'
import { blockPattern, filePrefix } from '../summary-cache.ts'
import { textBlockPattern, textFilePrefix } from '../text-cache.ts'
import type { MessageRecord } from '../types.ts'
import { freshSummary, recordsOf, samples, writingMs } from './derived.ts'
import type { FindingKind } from './finding.ts'
import { checkAge, statuses } from './folders-check.ts'
import { checkKeyBlock } from './key-check.ts'
import type { MailboxCheck } from './mailbox-check.ts'
import { checkStray } from './stray.ts'
import { checkTexts } from './text-check.ts'

const lineFeed = 10
const prefixes = [filePrefix, keyFilePrefix, textFilePrefix]

export async function checkCache(check: MailboxCheck): Promise<void> {
  const { run, place, directory } = check
  for await (const [name, status] of statuses(run, `${directory}/cache`)) {
    const path = `${directory}/cache/${name}`
    if (status.kind !== 'file' || !prefixes.some((prefix) => name.startsWith(prefix))) {
      await checkStray(run, place, path, status)
      continue
    }
    if (!(await run.checkAccess(path, status, place))) continue
    const first = blockPattern.exec(name)?.[1]
    const firstOfKeys = keyBlockPattern.exec(name)?.[1]
    const firstOfTexts = textBlockPattern.exec(name)?.[1]
    if (first !== undefined) await checkBlock(check, path, status, Number(first))
    else if (firstOfKeys !== undefined) await checkKeyBlock(check, path, status, Number(firstOfKeys))
    else if (firstOfTexts !== undefined) await checkTexts(check, path, status, Number(firstOfTexts))
    else await checkAge(run, place, path, status)
  }
}

async function checkBlock(check: MailboxCheck, path: string, status: FileStatus, first: number): Promise<void> {
  const { run, place } = check
  const drop = async () => {
    await unlessAbsent(run.fs.remove(path))
  }
  const found = (kind: FindingKind, detail: string, record?: MessageRecord) =>
    run.found({ kind, path, userId: place.userId, mailbox: place.mailbox, uid: record?.uid, detail }, drop)
  const lines = await readLines(check, path)
  if (lines === undefined) return
  const records = recordsOf(check, first, blockUids)
  const alive: { readonly record: MessageRecord; readonly json: string }[] = []
  for (const line of lines.whole) {
    const read = readSummaryLine(line)
    if (read === undefined) return void (await found('cache-damaged', 'a line does not check out'))
    const record = records.get(read.digest)
    if (record !== undefined) alive.push({ record, json: read.json })
  }
  if (lines.isCutOff && run.clock.now() - status.changedMs > writingMs)
    return void (await found('cache-damaged', 'its last line is cut off'))
  for (const { record, json } of samples(check, alive)) {
    const fresh = await freshSummary(check, record)
    if (
      fresh !== undefined &&
      JSON.stringify({ ...fresh, preview: await freshPreview(check, record, fresh, json) }) !== json
    )
      return void (await found('cache-wrong', 'its summary is not that of the message', record))
  }
}

/** Where the line tells one. */
async function freshPreview(
  { run, directory }: MailboxCheck,
  record: MessageRecord,
  { root }: MessageSummary,
  json: string,
): Promise<string | undefined> {
  if ((JSON.parse(json) as MessageSummary).preview === undefined) return undefined
  await using content = new FileContent(await run.fs.open(`${directory}/msg/${record.file}`))
  return await previewOf(root, (start, end) => content.read(start, end))
}

async function readLines(check: MailboxCheck, path: string) {
  const file = await unlessAbsent(check.run.fs.open(path))
  if (file === undefined) return undefined
  try {
    const octets = await file.read(0, Math.min(file.sizeOctets, maxBlockOctets))
    const whole: Buffer[] = []
    let start = 0
    for (let end = octets.indexOf(lineFeed); end >= 0; end = octets.indexOf(lineFeed, start)) {
      whole.push(octets.subarray(start, end + 1))
      start = end + 1
    }
    return { whole, isCutOff: start < octets.length && octets.length === file.sizeOctets }
  } finally {
    await file.close()
  }
}
