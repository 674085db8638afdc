import { codeOf, type StoreFs, unlessAbsent } from './fs.ts'

/** Removes a directory and everything below it, one step after another so that others get their turn. Absent is fine. */
export async function removeTree(fs: StoreFs, path: string): Promise<void> {
  try {
    for (const entry of await fs.list(path)) {
      const child = `${path}/${entry.name}`
      if (entry.isDirectory) await removeTree(fs, child)
      else await unlessAbsent(fs.remove(child))
    }
    await fs.removeDirectory(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}
