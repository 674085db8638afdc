/** Files that a change set is about to name. They are written beside it, and all of them are durable before it is linked. */

import type { StoreFs } from './fs.ts'

export interface NewFiles {
  readonly folder: string
  /** Resolves when all have their names, or never get them; undefined where they had them before. */
  readonly named?: Promise<unknown>
  /** Resolves when their octets are durable. When that fails, the change fails alone; undefined where they were before. */
  readonly durable?: Promise<unknown>
}

/**
 * Makes octets and names durable. Answers what became of the octets of each, in order; throws when the names could not be made durable.
 * A folder is synced once for all that are in it, as soon as the last of them has its name, while their octets are still written.
 */
export async function makeDurable(
  fs: StoreFs,
  all: readonly (NewFiles | undefined)[],
): Promise<readonly PromiseSettledResult<unknown>[]> {
  const octets = Promise.allSettled(all.map((files) => files?.durable))
  await Promise.all(all.map((files) => files?.named))
  const folders = new Set(all.flatMap((files) => files?.folder ?? []))
  await allDone(Array.from(folders, (folder) => fs.syncDirectory(folder)))
  return await octets
}

/** Waits for all before the first failure is told: nothing may still be writing when the caller cleans up. */
export async function allDone(steps: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(steps)) if (result.status === 'rejected') throw result.reason
}
