/** Where certificates lie: a directory for each account, beside the mail. docs/decisions/0265-certificates.md */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Of the directory, among those that the nodes of a store share. */
export const certificatesName = 'certificates'

/** `directory`: of one account. Files, oldest first. */
export const certificatesIn = async (directory: string): Promise<readonly string[]> => {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return []
  })
  return names
    .filter((name) => /^[0-9].*\.json$/.test(name))
    .sort()
    .map((name) => join(directory, name))
}
