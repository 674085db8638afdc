/**
 * Who is done of the users in a file: `<file>.progress` beside it, a name on each line, written when the user is done. A run that ends without a
 * failure removes it. docs/decisions/0056-expiry-works-over-imap.md
 */
import { open, readFile, rm } from 'node:fs/promises'

export interface DoneFile {
  readonly path: string
  has(name: string): boolean
  /** Durable when it resolves. */
  add(name: string): Promise<void>
  remove(): Promise<void>
  close(): Promise<void>
}

/** `resume`: goes on with what is there, else begins anew. Throws what the system refuses. */
export const openDoneFile = async (inputFile: string, resume: boolean): Promise<DoneFile> => {
  const path = `${inputFile}.progress`
  const before = resume ? await readFile(path, 'utf8').catch(whenMissing) : ''
  // Its last line may be half a name.
  const done = new Set(before.split('\n').slice(0, -1))
  const file = await open(path, resume ? 'a' : 'w', 0o600)
  if (before !== '' && !before.endsWith('\n')) await file.appendFile('\n')
  return {
    path,
    has: (name) => done.has(name),
    add: async (name) => {
      done.add(name)
      await file.appendFile(`${name}\n`)
      await file.datasync()
    },
    remove: () => rm(path, { force: true }),
    close: () => file.close(),
  }
}

const whenMissing = (error: NodeJS.ErrnoException): string => {
  if (error.code === 'ENOENT') return ''
  throw error
}
