/**
 * A file system that says now and then that a link or a rename failed after having done it, as a network file system does when the answer to
 * the first attempt was lost. link(2), rename(2): "you can not assume that if the operation failed, the file was not renamed".
 */

import { nodeFs, type StoreFs } from '#src/store/fs.ts'

const lies = ['EEXIST', 'ENOENT', 'EIO', 'ESTALE', 'ENOTEMPTY'] as const

/** `share`: of the calls that succeeded. */
export function lyingFs(share: number): StoreFs {
  const sometimes = async (call: string, done: Promise<void>) => {
    await done
    if (Math.random() >= share) return
    const code = lies[Math.floor(Math.random() * lies.length)]!
    throw Object.assign(new Error(`${code}: ${call} (it was done)`), { code })
  }
  return {
    ...nodeFs,
    link: (from, to) => sometimes('link', nodeFs.link(from, to)),
    rename: (from, to) => sometimes('rename', nodeFs.rename(from, to)),
  }
}
