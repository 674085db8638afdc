import { codeOf, type StoreFs, unlessAbsent } from './fs.ts'
import { childName } from './names.ts'
import type { MailboxEntry } from './types.ts'

/** What a mailbox's directory holds besides `log/` and child mailboxes. */
export const folders = ['msg', 'tmp', 'cache'] as const

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

/** All mailboxes below an account's directory, INBOX first, then by name. Levels without a mailbox at or below them are left out. */
export async function listMailboxes(fs: StoreFs, account: string): Promise<MailboxEntry[]> {
  const found: MailboxEntry[] = []
  const waiting: { name: string; directory: string }[] = [{ name: '', directory: account }]
  const selectable = new Set<string>()
  const levels = new Set<string>()
  for (let level = waiting.pop(); level !== undefined; level = waiting.pop()) {
    const { name, directory } = level
    for (const entry of (await unlessAbsent(fs.list(directory))) ?? []) {
      if (!entry.isDirectory) continue
      if (entry.name === 'log' && name !== '') selectable.add(name)
      const child = childName(name, entry.name)
      if (child !== undefined) waiting.push({ name: child, directory: `${directory}/${entry.name}` })
    }
  }
  for (const name of selectable) {
    for (let slash = name.lastIndexOf('/'); slash > 0; slash = name.lastIndexOf('/', slash - 1))
      levels.add(name.slice(0, slash))
  }
  for (const name of new Set([...selectable, ...levels]))
    found.push({ name, selectable: selectable.has(name), hasChildren: levels.has(name) })
  const key = (name: string) => (name === 'INBOX' ? '' : name)
  return found.sort((a, b) => (key(a.name) < key(b.name) ? -1 : 1))
}
