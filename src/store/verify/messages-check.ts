/** Checks `msg/`: every message of the log has its file, whole and as it came, and what else lies there is on its way in or out. */

import { digestOf } from '../digest.ts'
import { codeOf, type StoreFs, unlessAbsent } from '../fs.ts'
import type { MailboxState } from '../mailbox-state.ts'
import { parseMessageFileName } from '../message-file.ts'
import { piecesOf } from '../tree.ts'
import type { MessageRecord } from '../types.ts'
import { FileIndex } from './file-index.ts'
import type { FindingKind } from './finding.ts'
import type { MailboxCheck } from './mailbox-check.ts'
import { quarantine } from './quarantine.ts'
import { checkStray } from './stray.ts'
import { replaceByStub } from './stub.ts'

/** Files read at once: enough to keep going while the disk answers, few enough for the services to get their turn. */
const readsAtOnce = 4
/** After this a file that went from the log is gone from the disk as well, whoever removes it. */
const removalMs = 65_000
/** Left-overs that are looked at again; more are for the next run. */
const maxCandidates = 100_000

interface Damage {
  readonly kind: FindingKind
  readonly detail: string
}

export async function checkMessages(check: MailboxCheck): Promise<void> {
  await tellAnnounced(check)
  if (check.sound) await checkUnknown(check, `${check.directory}/msg`)
  await checkKnown(check, ({ sizeOctets }) => check.run.step({ what: 'message', octets: sizeOctets }))
}

/** Nothing is wrong with them, and whoever reads the result may look for them. */
async function tellAnnounced({ run, place, directory, state }: MailboxCheck): Promise<void> {
  let count = 0
  for (const _ of state.messages.announced()) count += 1
  const { userId, mailbox } = place
  const detail = `${count} of ${state.messages.length}`
  if (count > 0) await run.found({ kind: 'announced', path: `${directory}/msg`, userId, mailbox, detail })
}

/** The messages that the log has; `onChecked` is told of each. */
export async function checkKnown(check: MailboxCheck, onChecked: (record: MessageRecord) => void): Promise<void> {
  const folder = `${check.directory}/msg`
  const { messages } = check.state
  let next = 0
  const one = async () => {
    for (;;) {
      const record = messages.at(next)
      next += 1
      if (record === undefined || check.isGone) return
      if (record.isHere) await checkMessage(check, folder, record)
      onChecked(record)
    }
  }
  await Promise.all(Array.from({ length: readsAtOnce }, one))
}

/** The files that the log does not name. */
async function checkUnknown(check: MailboxCheck, folder: string): Promise<void> {
  const { run, place } = check
  let known = await knownFiles(check.state)
  const candidates: string[] = []
  for await (const entries of piecesOf(run.fs, folder))
    for (const { name } of entries) {
      if (known.has(name)) continue
      const path = `${folder}/${name}`
      const status = await unlessAbsent(run.fs.status(path))
      if (status === undefined) continue
      if (status.kind !== 'file' || parseMessageFileName(name) === undefined) await checkStray(run, place, path, status)
      else if (run.isOld(status) && candidates.length < maxCandidates) candidates.push(name)
    }
  if (candidates.length === 0) return
  run.later(removalMs, async () => {
    if (!(await check.refresh())) return
    known = await knownFiles(check.state)
    for (const name of candidates) {
      const path = `${folder}/${name}`
      if (known.has(name) || (await unlessAbsent(run.fs.status(path))) === undefined) continue
      const { userId, mailbox } = place
      // A message all the same, as far as one can see.
      await run.found({ kind: 'left-over', path, userId, mailbox }, async () => {
        await quarantine(run.fs, place.top, path)
      })
    }
  })
}

/** Also those of expunged messages, which are there until a purge. */
function knownFiles({ messages, expunged }: MailboxState): Promise<FileIndex> {
  const left = Array.from(expunged, ({ message }) => message)
  const { length } = messages
  return FileIndex.of(length + left.length, (at) => (at < length ? messages.at(at) : left[at - length])!.file)
}

async function checkMessage(check: MailboxCheck, folder: string, record: MessageRecord): Promise<void> {
  const { run, place } = check
  const path = `${folder}/${record.file}`
  const damage = await damageOf(check, path, record)
  if (damage === undefined || !(await check.hasStill(record))) return
  // Where the log is damaged, the removal of a message may be what is missing.
  if (damage.kind === 'message-missing' && !check.sound) return
  const { kind, detail } = damage
  const { userId, mailbox } = place
  const mend = async () => {
    check.mayReplace()
    const kept = kind === 'message-missing' ? undefined : await quarantine(run.fs, place.top, path)
    const stub = {
      record,
      mailbox: mailbox!,
      damage: detail,
      kept: kept?.slice(place.top.length + 1),
      now: run.clock.now(),
    }
    await check.withMailbox((open) => replaceByStub(open, stub))
  }
  await run.found({ kind, path, userId, mailbox, uid: record.uid, detail }, kind === 'unreadable' ? undefined : mend)
}

async function damageOf(check: MailboxCheck, path: string, record: MessageRecord): Promise<Damage | undefined> {
  const { run, place } = check
  const missing: Damage = { kind: 'message-missing', detail: 'is missing' }
  let usable = false
  try {
    const status = await unlessAbsent(run.fs.status(path))
    if (status === undefined) return missing
    if (status.kind !== 'file') return { kind: 'message-special', detail: `is a ${status.kind} now` }
    usable = await run.checkAccess(path, status, place)
    if (status.sizeOctets !== record.sizeOctets)
      return { kind: 'message-size', detail: `has ${status.sizeOctets} octets instead of ${record.sizeOctets}` }
    if ((await digestAt(run.fs, path)) === record.digest) return undefined
    return { kind: 'message-digest', detail: 'has other octets than those that came' }
  } catch (error) {
    const code = codeOf(error)
    if (code === undefined) throw error
    if (code === 'ENOENT') return missing
    // Its mode was told of already.
    return code === 'EACCES' && !usable ? undefined : { kind: 'unreadable', detail: code }
  }
}

async function digestAt(fs: StoreFs, path: string): Promise<string> {
  const file = await fs.open(path)
  try {
    return await digestOf(file)
  } finally {
    await file.close()
  }
}
