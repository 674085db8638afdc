/** The files of a derived cache, `cache/<prefix><shape>.<first>`: each holds what was made of the messages of a range of UIDs. */

import type { StoreContext } from './context.ts'
import { unlessAbsent } from './fs.ts'

export interface BlockFiles {
  /** Of every file of the cache, whatever shape its entries have. */
  readonly prefix: string
  /** Of those that have the present shape; the first group is the first UID. */
  readonly pattern: RegExp
}

/** Removes those of another shape, and those that `keeps` answers false for. What fails is logged: all of it can be made again. */
export async function sweepBlocks(
  { fs, log }: StoreContext,
  folder: string,
  { prefix, pattern }: BlockFiles,
  keeps: (first: number, path: string) => boolean | Promise<boolean>,
): Promise<void> {
  try {
    for (const { name } of (await unlessAbsent(fs.list(folder))) ?? []) {
      if (!name.startsWith(prefix)) continue
      const path = `${folder}/${name}`
      const first = pattern.exec(name)?.[1]
      if (first === undefined || !(await keeps(Number(first), path))) await unlessAbsent(fs.remove(path))
    }
  } catch (error) {
    log.log('info', 'a cache was not swept', { folder, files: `${prefix}*`, error: String(error) })
  }
}
