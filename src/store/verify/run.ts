/** One check of the store: what all its parts share. */

import type { Clock } from '../../base/clock.ts'
import type { UserId } from '../../base/ids.ts'
import { archiveError, archiveFs } from '../archive/archive-fs.ts'
import { directoryMode, type FileStatus, fileMode, type StoreFs } from '../fs.ts'
import type { Account, Store } from '../types.ts'
import { type Finding, type FindingKind, findingKinds, type Sighting } from './finding.ts'

export interface RunOptions {
  readonly fs: StoreFs
  readonly clock: Clock
  readonly repair: boolean
  /** Parses every message and compares its summary; else a sample of them. */
  readonly deep: boolean
  /** A store of its own for each repair: what it has open is not what the damage has made of it. */
  readonly openStore: () => Store
  readonly onFinding: (finding: Finding) => void
  /** Messages and mailboxes come to their end one by one; see `Progress`. */
  readonly onStep: (step: Step) => void
  /** An archive: nothing is repaired, and what only matters where mail is written is not looked for. False when undefined. */
  readonly archived?: boolean | undefined
}

export type Step =
  | { readonly what: 'mailboxes'; readonly count: number }
  | { readonly what: 'mailbox' }
  | { readonly what: 'messages'; readonly count: number }
  | { readonly what: 'message'; readonly octets: number }

/** Where in the store a part of the check is. */
export interface Place {
  readonly userId?: UserId | undefined
  readonly mailbox?: string | undefined
  /** User whom everything here belongs to. */
  readonly owner: number
  /** Directory that `.quarantine` is in: the account's, or the store's. */
  readonly top: string
  /** It is a tree that belongs to no user, and `userId` its name. */
  readonly isTree?: boolean
}

const dayMs = 86_400_000
/** Of no account in an archive. */
const onlyWhereWritten: ReadonlySet<FindingKind> = new Set(['left-over', 'directory-missing', 'account-gone'])

export class Run {
  readonly fs: StoreFs
  readonly clock: Clock
  readonly repair: boolean
  readonly deep: boolean
  readonly archived: boolean
  readonly openStore: () => Store
  readonly step: (step: Step) => void
  private readonly onFinding: (finding: Finding) => void
  private readonly deferred: { readonly dueMs: number; readonly work: () => Promise<void> }[] = []

  constructor(options: RunOptions) {
    this.archived = options.archived === true
    this.fs = this.archived ? archiveFs(options.fs) : options.fs
    this.clock = options.clock
    this.repair = options.repair
    this.deep = options.deep
    this.openStore = options.openStore
    this.step = options.onStep
    this.onFinding = options.onFinding
  }

  /** Tells of something, and repairs it when that was asked for; without `mend` it can't be. True when it is as it should be afterwards. */
  async found(sighting: Sighting, mend?: () => Promise<void>): Promise<boolean> {
    const { severity, means, repair } = findingKinds[sighting.kind]
    let repaired: boolean | undefined
    let failure: string | undefined
    if (this.archived && onlyWhereWritten.has(sighting.kind)) return true
    if (this.archived && this.repair) [repaired, failure] = [false, archiveError().message]
    else if (this.repair) {
      repaired = mend !== undefined
      await mend?.().catch((error: unknown) => {
        repaired = false
        failure = error instanceof Error ? error.message : String(error)
      })
    }
    this.onFinding({ ...sighting, severity, means, repair, repaired, failure })
    return repaired === true
  }

  /** What this is the place of, for repairs. */
  accountIn(store: Store, { userId, top, isTree }: Place): Account {
    return isTree === true ? store.tree(userId!, top) : store.account(userId!)
  }

  /** Another look, not before `ms` from now. */
  later(ms: number, work: () => Promise<void>): void {
    this.deferred.push({ dueMs: this.clock.monotonic() + ms, work })
  }

  /** Waits for the other looks that are due later, and takes them. */
  async settle(): Promise<void> {
    for (const { dueMs, work } of this.deferred.splice(0)) {
      const ms = dueMs - this.clock.monotonic()
      if (ms > 0) await this.clock.sleep(ms)
      await work()
    }
  }

  /** Nobody works on it any more. */
  isOld(status: FileStatus): boolean {
    return this.clock.now() - status.changedMs > dayMs
  }

  /** Looks at mode and owner of a file or directory. False when it can't be expected to be readable. */
  async checkAccess(path: string, status: FileStatus, place: Place): Promise<boolean> {
    // Whatever the medium gives them.
    if (this.archived) return true
    const { userId, mailbox } = place
    const wanted = status.kind === 'directory' ? directoryMode : fileMode
    let usable = true
    if (status.owner !== place.owner) {
      const detail = `owner ${status.owner} instead of ${place.owner}`
      const { fs } = this
      usable = await this.found({ kind: 'owner', path, userId, mailbox, detail }, () =>
        fs.setOwner(path, place.owner, status.group),
      )
    }
    if (status.mode !== wanted) {
      const detail = `mode ${octal(status.mode)} instead of ${octal(wanted)}`
      const set = () => this.fs.setMode(path, wanted)
      usable = (await this.found({ kind: 'mode', path, userId, mailbox, detail }, set)) && usable
    }
    return usable
  }
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0')
}
