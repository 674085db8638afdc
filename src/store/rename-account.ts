/**
 * Gives an account another name in one rename of its directory, while others may be at work on it: a commit whose log went away is not acknowledged.
 * With several roots a claim on the new name keeps others from making that account in another root meanwhile.
 */

import { StoreError } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { StoreContext } from './context.ts'
import { accountDirectory } from './names.ts'
import type { Places } from './places.ts'
import { uniqueName } from './unique.ts'

/** Throws StoreError not-found, already-exists, in-use, unavailable: then nothing was changed. */
export async function renameAccount(context: StoreContext, places: Places, from: UserId, to: UserId): Promise<void> {
  const { fs } = context
  const root = await places.find(from)
  if (root === undefined) throw new StoreError('not-found', `${from} has no mail here`)
  const [source, target] = [accountDirectory(from), accountDirectory(to)]
  const rename = async () => {
    if ((await places.find(to)) !== undefined) throw new StoreError('already-exists', `${to} has mail here`)
    await places.rename(root, source, target)
  }
  if (places.partitions.single) return await rename()
  await places.partitions.needAll()
  const id = uniqueName()
  const folder = await places.enter(root, target, id)
  try {
    // Whoever makes an account of that name finds the claim, and by the beat somebody who is alive.
    await fs.append(`${folder}/beat`, Buffer.alloc(0))
    if (!(await places.claim(target, id)))
      throw new StoreError('in-use', `${to} is being made or moved by somebody else`)
    await rename()
  } finally {
    await places.release(target, id)
    await places.leave(root, target, id)
  }
}
