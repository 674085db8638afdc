/** What is done about a commit log that can't be read to its end. */

import { StoreError } from '../base/errors.ts'
import { breath } from './breath.ts'
import { type ChangeSetKind, DamagedEntry, operationsIn, sealEntry } from './change-set.ts'
import { createLog, type Epoch } from './epochs.ts'
import { codeOf } from './fs.ts'
import type { LogReader } from './log-reader.ts'
import { applyEntry, type Replica } from './replica.ts'
import { uniqueName } from './unique.ts'

/** How far a log could be read. */
export interface Readable {
  /** The highest number that is taken. */
  readonly number: number
  /** What has it, where that can be read. */
  readonly kind: ChangeSetKind | undefined
  /** Nothing was missing or damaged. */
  readonly sound: boolean
}

/**
 * Part of the log can't be read. Everything that can be is applied, the replica recovers what else it finds, and a new epoch starts from
 * there. Its number is the one that a commit to the old epoch would need, or the next one after a seal: `lost` takes that number in the old
 * epoch first, in the put-if-absent way, and a healthy process that comes from the seal finds the epoch there. So nobody goes on in the old one.
 */
export async function saveWhatIsLeft<Outcome, State extends Replica<Outcome>>(
  reader: LogReader<Outcome, State>,
  id: string | undefined,
): Promise<void> {
  const { fs, log } = reader.context
  const { directory } = reader.epochs
  for (;;) {
    const left = await whatIsLeft(reader, id, (state) => state.expectGaps())
    if (left === 'moved') continue
    const { state, newest, last } = left
    // Somebody else has saved it already.
    if (newest !== undefined && last.sound && last.kind !== 'lost') return
    log.log('err', 'a commit log is damaged; going on with what can be read', { directory, upTo: last.number })
    await state.recover(fs, directory)
    if (newest === undefined) {
      // Nothing is left of the log. Only an empty folder can be replaced, so two that notice make one.
      await createLog(fs, directory, state, 1).catch((error: unknown) => {
        if (codeOf(error) !== 'ENOTEMPTY' && codeOf(error) !== 'EEXIST') throw error
      })
      if ((await reader.epochs.list()).length === 0)
        throw new StoreError('damaged', `${directory}/log holds no epoch; move what it holds away`)
      continue
    }
    const next: Epoch = { start: last.kind === 'lost' ? last.number : last.number + 1, id: newest.id }
    if (last.kind !== 'lost' && last.kind !== 'seal' && !(await putLost(reader, newest, next.start))) continue
    if ((await reader.epochs.make(newest, next, 'saved', next.start, state)) === 'gone') continue
    return
  }
}

/** What can be read of a log, applied to the newest state that can be; nothing is changed. `prepared`: called with the state before that. */
export async function whatIsLeft<Outcome, State extends Replica<Outcome>>(
  reader: LogReader<Outcome, State>,
  id: string | undefined,
  prepared: (state: State) => void,
): Promise<{ readonly state: State; readonly newest: Epoch | undefined; readonly last: Readable } | 'moved'> {
  const epochs = await reader.list(id)
  const base = await reader.newestState(epochs)
  if (base === 'moved') return 'moved'
  const state = base?.state ?? reader.fresh()
  prepared(state)
  const last = await applyReadable(reader, epochs, base?.epoch, state)
  return last === 'moved' ? 'moved' : { state, newest: epochs.at(-1), last }
}

/** Ends an epoch with `lost` as entry `number`. False when somebody was first, or the epoch is gone. */
async function putLost<Outcome, State extends Replica<Outcome>>(
  { context: { fs }, epochs }: LogReader<Outcome, State>,
  epoch: Epoch,
  number: number,
): Promise<boolean> {
  const id = uniqueName()
  const path = `${epochs.directory}/tmp/${id}`
  await fs.write(path, sealEntry('lost', id))
  try {
    await fs.link(path, epochs.entryPath(epoch, number))
  } catch (error) {
    if (codeOf(error) === 'EEXIST' || !(await epochs.isPresent(epoch))) return false
    throw error
  } finally {
    await fs.remove(path).catch(() => {})
  }
  await fs.syncDirectory(epochs.pathOf(epoch))
  return true
}

/** Applies every entry after the epoch whose beginning `state` is, or of all epochs, that can be read. */
async function applyReadable<Outcome, State extends Replica<Outcome>>(
  { epochs: folders }: LogReader<Outcome, State>,
  epochs: readonly Epoch[],
  base: Epoch | undefined,
  state: State,
): Promise<Readable | 'moved'> {
  let last: Readable = { number: 0, kind: undefined, sound: true }
  for (const epoch of epochs) {
    if (base !== undefined && epoch.start < base.start) continue
    if (epoch === base) last = { number: epoch.start, kind: 'state', sound: true }
    else {
      // How it begins can't be read, but after a seal that is what is known already.
      const follows = last.sound && last.kind === 'seal' && epoch.start === last.number + 1
      const sound = follows && (await folders.beginning(epoch)) === 'state'
      last = { number: epoch.start, kind: sound ? 'state' : undefined, sound }
      state.applied(epoch.start)
    }
    const numbers = await folders.numbers(epoch)
    if (numbers === undefined) return 'moved'
    for (const number of numbers) {
      if (number <= last.number) continue
      const sound = last.sound && number === last.number + 1
      try {
        const entry = await folders.read(epoch, number)
        last = { number, kind: entry.kind, sound }
        if (entry.kind === 'change') await applyEntry(state, number, operationsIn(entry.body))
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return 'moved'
        if (!(error instanceof DamagedEntry)) throw error
        last = { number, kind: undefined, sound: false }
      }
      state.applied(number)
      await breath()
    }
  }
  return last
}
