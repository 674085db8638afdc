/** A commit log as an archive has it: read once, as far as it can be read. What the standard store would write down of a repair stays in memory. */

import { createHash } from 'node:crypto'
import type { StoreContext } from '../context.ts'
import { LogReader } from '../log-reader.ts'
import { whatIsLeft } from '../recovery.ts'
import type { Replica } from '../replica.ts'
import { archiveError } from './archive-fs.ts'

/** A state and where in its log it is. */
export interface ArchivedLog<State> {
  readonly state: State
  /** Of the last entry. */
  readonly number: number
  /** Identity of what this is the log of. */
  readonly id: string
}

/** Throws StoreError not-found when there is no log. */
export async function readArchivedLog<State extends Replica<unknown>>(
  context: StoreContext,
  what: 'mailbox' | 'account',
  directory: string,
  fresh: () => State,
): Promise<ArchivedLog<State>> {
  const reader = new LogReader<unknown, State>(context, what, directory, fresh, {
    read: () => {},
    moved: () => {},
    ended: archiveError,
  })
  for (let isWhole = true; ; ) {
    const left = await whatIsLeft(reader, undefined, isWhole ? () => {} : (state) => state.expectGaps())
    // Nobody removes an epoch of an archive: it is the directory that changed, see what is there now.
    if (left === 'moved') continue
    const { state, newest, last } = left
    if (newest !== undefined && last.sound && last.kind !== 'lost' && isWhole)
      return { state, number: lastNumber(last), id: newest.id }
    if (isWhole) {
      isWhole = false
      continue
    }
    context.log.log('warning', 'a commit log in an archive is damaged; showing what can be read', {
      directory,
      upTo: last.number,
    })
    await state.recover(context.fs, directory)
    return { state, number: last.number, id: newest?.id ?? standIn(directory) }
  }
}

/** A seal is no change: what readers know ends before it. */
const lastNumber = ({ number, kind }: { readonly number: number; readonly kind: string | undefined }) =>
  kind === 'seal' ? number - 1 : number

/** The same at each reading. */
const standIn = (directory: string) => createHash('sha256').update(directory).digest('hex').slice(0, 32)
