/** Opening of files that others could have put something else in the place of: a FIFO or device must neither hang nor be followed. */

import fs from 'node:fs'

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants

/** For reading. */
export const regularFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK

/** The size of what was opened just now, which has it at hand, on a network file system too. Closes and throws EINVAL when it is no file. */
export function sizeOfRegular(fd: number, path: string): number {
  try {
    const stats = fs.fstatSync(fd)
    if (stats.isFile()) return stats.size
    throw Object.assign(new Error(`EINVAL: ${path} is not a regular file`), { code: 'EINVAL' })
  } catch (error) {
    fs.closeSync(fd)
    throw error
  }
}

/** Waits for the disk. */
export function openRegularNow(path: string): { readonly fd: number; readonly sizeOctets: number } {
  const fd = fs.openSync(path, regularFlags)
  return { fd, sizeOctets: sizeOfRegular(fd, path) }
}
