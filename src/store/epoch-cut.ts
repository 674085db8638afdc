/**
 * Cutting a log: the state is written down as the base of a new epoch while commits go on; only the seal and what came meanwhile take a
 * turn between them. Several processes that cut at once write several bases, and the first seal decides.
 */

import { sealEntry } from './change-set.ts'
import type { StoreContext } from './context.ts'
import type { Prepared } from './epochs.ts'
import { unlessAbsent } from './fs.ts'
import type { LogReader } from './log-reader.ts'
import { PassedEntries, type Position } from './position.ts'
import type { Replica } from './replica.ts'
import { uniqueName } from './unique.ts'

/** A state costs its weight to write down, and each change set time to whoever opens: this many of them for each of its things. */
const entriesPerWeight = 1 / 300
/** The same for change sets that are large: so many octets of them, at least so many, take some ms to read. A base has some 60 for each thing. */
const tailOctetsPerWeight = 3
const minTailOctets = 262_144
/**
 * And for those that change much by few octets, `1:* +\Seen`: a change takes some 0.1 µs to make again, several times
 * that in a fresh process.
 */
const tailChangesPerWeight = 2
const minTailChanges = 30_000
/** Of the change sets that a base lacks. Past that it is old, and another one cheaper for all who read it. */
const maxReplayOctets = 8 * 1_048_576

/** What a cut needs of the log. */
export interface Cuttable {
  /** The position is still the log's. */
  isCurrent(): boolean
  inTurn<T>(work: () => Promise<T>): Promise<T>
  /** False when somebody was first. */
  put(path: string, octets: Buffer): Promise<boolean>
  /** Goes behind the seal. */
  advance(): Promise<unknown>
}

export function isLong<Outcome, State extends Replica<Outcome>>(
  { epoch, number, state, tailOctets, tailChanges }: Position<Outcome, State>,
  { epochEntries, cutSpread }: StoreContext,
): boolean {
  if (tailOctets >= Math.max(minTailOctets, state.weight * tailOctetsPerWeight) * cutSpread) return true
  if (tailChanges >= Math.max(minTailChanges, state.weight * tailChangesPerWeight) * cutSpread) return true
  return number - epoch.start >= Math.floor(Math.max(epochEntries, state.weight * entriesPerWeight) * cutSpread)
}

/** Call it while the position stands still. */
export async function cutEpoch<Outcome, State extends Replica<Outcome>>(
  reader: LogReader<Outcome, State>,
  at: Position<Outcome, State>,
  log: Cuttable,
): Promise<void> {
  const { epochs, context } = reader
  const { epoch, number } = at
  const passed = new PassedEntries(maxReplayOctets)
  at.passed = passed
  const image = at.state.image()
  const isWanted = () => log.isCurrent() && at.epoch === epoch && !passed.tooMany
  let prepared: Prepared | undefined
  const id = uniqueName()
  const sealPath = `${epochs.directory}/tmp/${id}`
  try {
    prepared = await epochs.prepare(epoch, number, image, async () => isWanted())
    if (prepared === undefined) return
    const seal = sealEntry('seal', id)
    await context.fs.write(sealPath, seal)
    await log.inTurn(async () => {
      while (isWanted())
        if (await log.put(sealPath, seal)) {
          const next = { start: at.number + 2, id: epoch.id }
          await epochs.complete(epoch, prepared!, next, 'state', passed.entries)
          await log.advance()
        }
    })
  } finally {
    at.passed = undefined
    await unlessAbsent(context.fs.remove(sealPath)).catch(() => {})
    if (prepared !== undefined) await epochs.discard(epoch, prepared)
  }
  await epochs.removeBefore(at.epoch, context.epochKeepMs)
}
