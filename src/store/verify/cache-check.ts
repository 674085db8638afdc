/** Checks what is derived from the messages: summaries that check out have to be the ones that the messages give. */

import type { Uid } from '../../base/ids.ts'
import { summarizeStream } from '../../mime/summary.ts'
import { FileContent } from '../content.ts'
import { type FileStatus, unlessAbsent } from '../fs.ts'
import { blockUids, maxBlockOctets, readSummaryLine } from '../summary-block.ts'
import { blockPattern, filePrefix } from '../summary-cache.ts'
import type { MessageRecord } from '../types.ts'
import type { FindingKind } from './finding.ts'
import { checkAge, statuses } from './folders-check.ts'
import type { MailboxCheck } from './mailbox-check.ts'
import { checkStray } from './stray.ts'

/** Summaries of one block that are compared with their messages, unless all are. */
const sampled = 4
/** A line whose end is missing for longer was cut off. */
const writingMs = 60_000
const lineFeed = 10

export async function checkCache(check: MailboxCheck): Promise<void> {
  const { run, place, directory } = check
  for await (const [name, status] of statuses(run, `${directory}/cache`)) {
    const path = `${directory}/cache/${name}`
    if (status.kind !== 'file' || !name.startsWith(filePrefix)) {
      await checkStray(run, place, path, status)
      continue
    }
    if (!(await run.checkAccess(path, status, place))) continue
    const first = blockPattern.exec(name)?.[1]
    if (first === undefined) await checkAge(run, place, path, status)
    else await checkBlock(check, path, status, Number(first))
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
  const records = recordsOf(check, first)
  const alive: { readonly record: MessageRecord; readonly json: string }[] = []
  for (const line of lines.whole) {
    const read = readSummaryLine(line)
    if (read === undefined) return void (await found('cache-damaged', 'a line does not check out'))
    const record = records.get(read.digest)
    if (record !== undefined) alive.push({ record, json: read.json })
  }
  if (lines.isCutOff && run.clock.now() - status.changedMs > writingMs)
    return void (await found('cache-damaged', 'its last line is cut off'))
  const step = run.deep ? 1 : Math.max(1, Math.ceil(alive.length / sampled))
  for (let at = 0; at < alive.length; at += step) {
    const { record, json } = alive[at]!
    const fresh = await summaryOf(check, record)
    if (fresh !== undefined && fresh !== json)
      return void (await found('cache-wrong', 'its summary is not that of the message', record))
  }
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

function recordsOf({ messages }: MailboxCheck, first: number): ReadonlyMap<string, MessageRecord> {
  const records = new Map<string, MessageRecord>()
  const end = messages.positionOf((first + blockUids) as Uid)
  for (let at = messages.positionOf(first as Uid); at < end; at += 1) {
    const record = messages.at(at)!
    if (record.isHere) records.set(record.digest, record)
  }
  return records
}

/** As the cache has it; undefined when the message can't be read, which is told of by itself. */
async function summaryOf({ run, directory }: MailboxCheck, record: MessageRecord): Promise<string | undefined> {
  try {
    await using content = new FileContent(await run.fs.open(`${directory}/msg/${record.file}`))
    return content.sizeOctets === record.sizeOctets
      ? JSON.stringify(await summarizeStream(content.stream()))
      : undefined
  } catch {
    return undefined
  }
}
