import { StoreError } from '../../base/errors.ts'
import type { StoreFs } from '../fs.ts'

/** What an attempt to change an archive fails with. */
export const archiveError = () => new StoreError('no-permission', 'This mail lies in an archive, which is only read')

/** The files of an archive: everything reads, and nothing that would change an octet, a name or a time reaches the disk. */
export function archiveFs(fs: StoreFs): StoreFs {
  const refuse = async () => {
    throw archiveError()
  }
  return {
    write: refuse,
    begin: refuse,
    create: refuse,
    append: refuse,
    link: refuse,
    rename: refuse,
    remove: refuse,
    makeDirectory: refuse,
    removeDirectory: refuse,
    setMode: refuse,
    setOwner: refuse,
    // What is there stays there.
    syncDirectory: async () => {},
    read: (path) => fs.read(path),
    readPart: (path, start, length) => fs.readPart(path, start, length),
    open: (path) => fs.open(path),
    list: (path) => fs.list(path),
    listInPieces: (path) => fs.listInPieces(path),
    status: (path) => fs.status(path),
    space: (path) => fs.space(path),
  }
}
