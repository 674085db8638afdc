/** Files that a change set is about to name. They are written beside it, and all of them are durable before it is linked. */

import type { StoreFs } from './fs.ts'

export interface NewFiles {
  readonly folder: string
  /** Resolves when all have their names, or never get them; undefined where they had them before. */
  readonly named?: Promise<unknown>
  /** Resolves when their octets are durable; undefined where they were before. When that fails, or their names, the change fails alone. */
  readonly durable?: Promise<unknown>
}

/**
 * Makes octets and names durable. Answers what became of those of each, in order, when nothing is under way any more. A folder is synced once
 * for all that are in it, as soon as the last of them has its name, while their octets are still written.
 */
export function makeDurable(
  fs: StoreFs,
  all: readonly (NewFiles | undefined)[],
): Promise<readonly PromiseSettledResult<void>[]> {
  const named = Promise.all(all.map((files) => files?.named))
  const syncs = new Map<string, Promise<void>>()
  const synced = (folder: string): Promise<void> => {
    const sync = syncs.get(folder) ?? named.then(() => fs.syncDirectory(folder))
    syncs.set(folder, sync)
    return sync
  }
  return Promise.allSettled(
    all.map(async (files) => {
      if (files !== undefined) await allDone([files.durable, synced(files.folder)])
    }),
  )
}

/** Waits for all before the first failure is told: nothing may still be writing when the caller cleans up. */
export async function allDone(steps: readonly (Promise<unknown> | undefined)[]): Promise<void> {
  for (const result of await Promise.allSettled(steps)) if (result.status === 'rejected') throw result.reason
}
