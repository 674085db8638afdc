/** One mailbox under check: its log as it lies on the disk, read again whenever something looks wrong. */

import { createHash } from 'node:crypto'
import { StoreError } from '../../base/errors.ts'
import { breath } from '../breath.ts'
import { MailboxState } from '../mailbox-state.ts'
import type { Mailbox, MessageList, MessageRecord, Store } from '../types.ts'
import { FileIndex } from './file-index.ts'
import { checkLog } from './log-check.ts'
import { type LogProblem, LogScan, type LogView } from './log-scan.ts'
import type { Place, Run } from './run.ts'

const rowsPerTurn = 2000
/** Problems of a state that are told one by one; one is enough to have it made anew. */
const maxToldEach = 10

export class MailboxCheck {
  readonly run: Run
  readonly place: Place
  readonly directory: string
  readonly scan: LogScan<MailboxState>
  /** The log is whole: what it doesn't have is not there. */
  sound = false
  /** The mailbox was removed or renamed: nothing is wrong with it. */
  isGone = false
  private view: LogView<MailboxState> | undefined
  private store: Store | undefined
  private turn: Promise<unknown> = Promise.resolve()

  constructor(run: Run, place: Place, directory: string) {
    this.run = run
    this.place = place
    this.directory = directory
    this.scan = new LogScan(run.fs, 'mailbox', directory, () => new MailboxState(run.clock), digestOf)
  }

  /** The newest state that was read. */
  get state(): MailboxState {
    return this.view?.newest?.state ?? new MailboxState(this.run.clock)
  }

  get messages(): MessageList {
    return this.state.messages
  }

  async checkLog(): Promise<void> {
    await this.unlessGone(async () => {
      const { view, sound } = await checkLog(this.run, {
        scan: this.scan,
        place: this.place,
        stateProblems: (seen) => this.stateProblems(seen),
        open: () => this.open(),
      })
      this.view = view
      this.sound = sound
    })
  }

  /** Opens the mailbox, which repairs its log. */
  async open(): Promise<void> {
    await using store = this.run.openStore()
    const mailbox = await this.run.accountIn(store, this.place).open(this.place.mailbox!)
    await mailbox.close()
  }

  /** Throws where a damaged message can't be replaced by a notice of it. */
  mayReplace(): void {}

  /** Reads what was committed since. False when the mailbox is gone. */
  refresh(): Promise<boolean> {
    return this.inTurn(() =>
      this.unlessGone(async () => {
        this.view = this.view === undefined ? await this.scan.read() : await this.scan.refresh(this.view)
      }),
    )
  }

  /** The mailbox is there, and has this message. */
  async hasStill(record: MessageRecord): Promise<boolean> {
    return (await this.refresh()) && this.state.byUid(record.uid)?.file === record.file
  }

  /** For a repair that changes the mailbox as any client would. One after another. */
  withMailbox(work: (mailbox: Mailbox) => Promise<void>): Promise<void> {
    return this.inTurn(async () => {
      this.store ??= this.run.openStore()
      await using mailbox = await this.run.accountIn(this.store, this.place).open(this.place.mailbox!)
      await work(mailbox)
    })
  }

  /** Lets go of what takes memory; `refresh` reads it again. */
  async close(): Promise<void> {
    this.view = undefined
    await this.store?.close()
    this.store = undefined
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.turn.then(work)
    this.turn = result.catch(() => {})
    return result
  }

  private async unlessGone(work: () => Promise<void>): Promise<boolean> {
    try {
      if (!this.isGone) await work()
    } catch (error) {
      if (!(error instanceof StoreError && error.kind === 'not-found')) throw error
      this.isGone = true
    }
    return !this.isGone
  }

  /** What no order of change sets can make of a mailbox. */
  private async stateProblems({ newest }: LogView<MailboxState>): Promise<readonly LogProblem[]> {
    if (newest === undefined) return []
    const { state, epoch, number } = newest
    const problems: LogProblem[] = []
    const told = new Map<string, number>()
    const path = this.scan.folders.pathOf(epoch)
    const add = (kind: LogProblem['kind'], detail: string) => {
      const count = (told.get(kind) ?? 0) + 1
      told.set(kind, count)
      if (count <= maxToldEach) problems.push({ kind, path, detail, epoch })
    }
    const { messages } = state
    let before = 0
    for (let position = 0; position < messages.length; position += 1) {
      const { uid, modSeq, origin } = messages.at(position)!
      if (uid <= before) add('uid-order', `UID ${uid} comes after ${before}`)
      if (uid >= state.uidNext) add('uid-order', `UID ${uid} is not below UIDNEXT ${state.uidNext}`)
      before = uid
      if (modSeq > number) add('mod-sequence', `UID ${uid} has ${modSeq}, and the log ends with ${number}`)
      const known = origin === undefined ? undefined : state.byOrigin(origin)
      if (known !== undefined && known.uid !== uid) add('origin-twice', `UIDs ${uid} and ${known.uid}`)
      if (position % rowsPerTurn === rowsPerTurn - 1) await breath()
    }
    await FileIndex.of(
      messages.length,
      (position) => messages.at(position)!.file,
      (position) => add('file-twice', `UID ${messages.at(position)!.uid}`),
    )
    return problems
  }
}

/** Of what clients can see of a mailbox, and what the gateway remembers. */
async function digestOf(state: MailboxState): Promise<string> {
  const digest = createHash('sha256')
  const { uidValidity, uidNext, recentAfter, keptBelow, messages, flagTable, departed } = state
  digest.update(JSON.stringify([uidValidity, uidNext, recentAfter, keptBelow, [...flagTable.keywords].sort()]))
  for (let position = 0; position < messages.length; position += 1) {
    const { uid, file, flags, modSeq, origin, uidl } = messages.at(position)!
    digest.update(JSON.stringify([uid, file, [...flags].sort(), modSeq, origin, uidl]))
    if (position % rowsPerTurn === rowsPerTurn - 1) await breath()
  }
  for (const [origin, { uid, cause, modSeq }] of [...departed].sort(([a], [b]) => (a < b ? -1 : 1)))
    digest.update(JSON.stringify([origin, uid, cause, modSeq]))
  return digest.digest('base64url')
}
