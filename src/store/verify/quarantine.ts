/** `.quarantine` in an account (or the store): what a repair took out of the way, under the path that it had. Nothing in it is ever deleted. */

import { codeOf, type StoreFs } from '../fs.ts'
import { makeDirectories } from '../tree.ts'

export const quarantineName = '.quarantine'

/** Moves a file, directory or anything else below `top` there, durably. Answers its new path. Absent is an ENOENT. */
export async function quarantine(fs: StoreFs, top: string, path: string): Promise<string> {
  const at = path.lastIndexOf('/')
  const parent = path.slice(0, at)
  const folder = `${top}/${quarantineName}${parent.slice(top.length)}`
  await makeDirectories(fs, top, folder)
  for (let copy = 1; ; copy += 1) {
    const target = `${folder}${path.slice(at)}${copy === 1 ? '' : `.${copy}`}`
    try {
      if ((await fs.status(path)).isDirectory) await moveDirectory(fs, path, target)
      else {
        await fs.link(path, target)
        await fs.syncDirectory(folder)
        await fs.remove(path)
      }
    } catch (error) {
      if (['EEXIST', 'ENOTEMPTY'].includes(codeOf(error) ?? '')) continue
      throw error
    }
    await fs.syncDirectory(folder)
    await fs.syncDirectory(parent)
    return target
  }
}

/** An empty directory there would be replaced, which loses nothing, but a name once given away stays what it is. */
async function moveDirectory(fs: StoreFs, from: string, to: string): Promise<void> {
  await fs.makeDirectory(to)
  await fs.rename(from, to)
}
