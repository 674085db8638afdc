import { codeOf, type DirectoryEntry, type StoreFs, unlessAbsent } from './fs.ts'
import { childName } from './names.ts'
import { severalAtOnce } from './several.ts'
import type { MailboxEntry } from './types.ts'

/** What a mailbox's directory holds besides `log/` and child mailboxes. */
export const folders = ['msg', 'tmp', 'cache'] as const

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

export async function makeIfAbsent(fs: StoreFs, directory: string): Promise<void> {
  try {
    await fs.makeDirectory(directory)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
}

/** Makes `directory` and the levels between it and `top` (which is there; '' for the top of the file system), durably. */
export async function makeDirectories(fs: StoreFs, top: string, directory: string): Promise<void> {
  let path = top
  for (const level of directory.slice(top.length).split('/')) {
    if (level === '') continue
    const parent = path
    path = `${path}/${level}`
    if ((await unlessAbsent(fs.status(path)))?.isDirectory === true) continue
    await makeIfAbsent(fs, path)
    await fs.syncDirectory(parent === '' ? '/' : parent)
  }
}

/** The names of a directory; none when it is gone. */
export async function* piecesOf(fs: StoreFs, directory: string): AsyncIterable<readonly DirectoryEntry[]> {
  try {
    yield* fs.listInPieces(directory)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}

/** Directories listed at the same time: as many as a server's threads for files. */
const listsAtOnce = 16

interface Level {
  /** Empty for the account itself. */
  readonly name: string
  readonly directory: string
}

/** Whether a level is a mailbox, and what is below it; nothing for one that is gone. */
async function readLevel(
  fs: StoreFs,
  { name, directory }: Level,
): Promise<{ readonly selectable: boolean; readonly children: Level[] }> {
  let selectable = false
  const children: Level[] = []
  for (const entry of (await unlessAbsent(fs.list(directory))) ?? []) {
    if (!entry.isDirectory) continue
    if (entry.name === 'log') selectable = name !== ''
    const child = childName(name, entry.name)
    if (child !== undefined) children.push({ name: child, directory: `${directory}/${entry.name}` })
  }
  return { selectable, children }
}

/** All mailboxes below an account's directory, INBOX first, then by name. Levels without a mailbox at or below them are left out. */
export async function listMailboxes(fs: StoreFs, account: string): Promise<MailboxEntry[]> {
  const selectable = new Set<string>()
  const levels = new Set<string>()
  for (let depth: Level[] = [{ name: '', directory: account }]; depth.length > 0; ) {
    const below: Level[] = []
    await severalAtOnce(depth, listsAtOnce, async (level) => {
      const found = await readLevel(fs, level)
      if (found.selectable) selectable.add(level.name)
      for (const child of found.children) below.push(child)
    })
    depth = below
  }
  for (const name of selectable) {
    for (let slash = name.lastIndexOf('/'); slash > 0; slash = name.lastIndexOf('/', slash - 1)) {
      const level = name.slice(0, slash)
      if (levels.has(level)) break
      levels.add(level)
    }
  }
  const names = [...selectable.union(levels)].sort((a, b) => (inOrder(a) < inOrder(b) ? -1 : 1))
  return names.map((name) => ({ name, selectable: selectable.has(name), hasChildren: levels.has(name) }))
}

/** One entry of `listMailboxes`; undefined where there is none of this name. */
export async function findMailbox(fs: StoreFs, name: string, directory: string): Promise<MailboxEntry | undefined> {
  const { selectable, children } = await readLevel(fs, { name, directory })
  let hasChildren = false
  for (const child of children) if (await hasMailbox(fs, child.name, child.directory)) hasChildren = true
  return selectable || hasChildren ? { name, selectable, hasChildren } : undefined
}

const inOrder = (name: string) => (name === 'INBOX' ? '' : name)

/** There is a mailbox of this name, or below it: what `listMailboxes` would show, without looking at everything. */
export async function hasMailbox(fs: StoreFs, name: string, directory: string): Promise<boolean> {
  const waiting: Level[] = [{ name, directory }]
  for (let level = waiting.pop(); level !== undefined; level = waiting.pop()) {
    const { selectable, children } = await readLevel(fs, level)
    if (selectable) return true
    waiting.push(...children)
  }
  return false
}
