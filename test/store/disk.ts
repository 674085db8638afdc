/**
 * A disk in memory that forgets: file contents and directory entries are durable only once synced, and a power cut keeps any subset of what
 * was not. Every call of every actor passes a gate, so that a test decides the order, fails a call, or cuts the power before it.
 */

import { directoryMode, fileMode, type NewFile, type OpenFile, type StoreFs } from '#src/store/fs.ts'

interface FileNode {
  readonly kind: 'file'
  readonly inode: number
  octets: Buffer
  /** What a power cut leaves of the content at least. */
  durable: Buffer
  changedMs: number
}
interface DirectoryNode {
  readonly kind: 'directory'
  readonly inode: number
  entries: Map<string, Node>
  durable: Map<string, Node>
  /** Entry changes since the last sync, in order. */
  pending: EntryChange[]
  changedMs: number
}
type Node = FileNode | DirectoryNode
/** What one call did to directories: both sides of a rename become durable together. */
interface Change {
  readonly what: string
  readonly directories: DirectoryNode[]
}
interface EntryChange {
  readonly name: string
  readonly node: Node | undefined
  readonly change: Change
}

export interface Call {
  readonly operation: keyof StoreFs | 'write chunk' | 'finish' | 'read part'
  readonly path: string
  /** Of `link` and `rename`. */
  readonly from?: string
}

/** The call is made and its caller is told of this failure, as a network file system may do when a reply got lost. */
export interface Lie {
  readonly madeButTold: Error
}

/** Lets a call happen, now or later, or rejects it. */
export type Gate = (call: Call) => Promise<void> | Lie | undefined

/** What a power cut decides: kept or lost for each change of directories, and how long each unsynced file is (undefined: zeros of full length). */
export interface CutChoice {
  keeps(index: number): boolean
  octets(index: number, synced: number, written: number): number | undefined
}

/** Where each change, and each unsynced file, is met after a power cut; nowhere when nobody can come to it. */
export interface Met {
  readonly changes: readonly (readonly string[])[]
  readonly files: readonly (readonly string[])[]
}

export function systemError(code: string, path = ''): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}

let lastInode = 0
/** Neither ascending nor descending, as on a disk where some were free. */
const newInode = () => (lastInode++ * 618_033) % 1_000_003

const newDirectory = (changedMs: number, inode = newInode()): DirectoryNode => ({
  kind: 'directory',
  inode,
  entries: new Map(),
  durable: new Map(),
  pending: [],
  changedMs,
})

export class MemoryDisk {
  private root = newDirectory(0)
  now = 1_700_000_000_000
  /** What each directory says is free; the same everywhere unless a test has another idea. */
  freeOctets: (path: string) => number = () => 1e12
  /** Grows with every change. */
  version = 0
  /** Sees every call that is made. */
  watch: ((call: Call) => void) | undefined

  /** A copy that goes its own way. */
  clone(): MemoryDisk {
    const copy = new MemoryDisk()
    const nodes = new Map<Node, Node>()
    const changes = new Map<Change, Change>()
    const changeOf = (change: Change): Change => {
      let known = changes.get(change)
      if (known === undefined) {
        known = { what: change.what, directories: [] }
        changes.set(change, known)
        for (const directory of change.directories) known.directories.push(of(directory) as DirectoryNode)
      }
      return known
    }
    const of = (node: Node): Node => {
      const known = nodes.get(node)
      if (known !== undefined) return known
      if (node.kind === 'file') {
        const file: FileNode = { ...node }
        nodes.set(node, file)
        return file
      }
      const directory = newDirectory(node.changedMs, node.inode)
      nodes.set(node, directory)
      for (const [name, child] of node.entries) directory.entries.set(name, of(child))
      for (const [name, child] of node.durable) directory.durable.set(name, of(child))
      for (const { name, node: child, change } of node.pending)
        directory.pending.push({
          name,
          node: child === undefined ? undefined : of(child),
          change: changeOf(change),
        })
      return directory
    }
    copy.root = of(this.root) as DirectoryNode
    copy.now = this.now
    copy.version = this.version
    return copy
  }

  /** The power goes and comes back. `keeps` decides for every change that was not synced, and how much of an unsynced file (0 to 1). */
  cutPower(keeps: () => number): void {
    this.cut({
      keeps: () => keeps() < 0.5,
      octets: (_, synced, written) => synced + Math.floor((written - synced) * keeps()),
    })
  }

  /** Everything becomes durable, as after a while without a power cut. */
  writeBack(): void {
    const written = { keeps: () => true, octets: (_index: number, _synced: number, length: number) => length }
    this.cut(written)
  }

  /** What a power cut could take, in the order in which `cut` numbers it. */
  unsynced(): {
    readonly changes: readonly string[]
    readonly files: readonly { readonly synced: number; readonly written: number }[]
  } {
    const { changes, files } = this.volatile()
    return {
      changes: changes.map((change) => change.what),
      files: files.map((file) => ({ synced: file.durable.length, written: file.octets.length })),
    }
  }

  /** Answers where what could have been lost is met afterwards: paths by change, and by file. */
  cut(choice: CutChoice): Met {
    const { changes, files } = this.volatile()
    const places = changes.map((change) =>
      change.directories.flatMap((directory) =>
        directory.pending.flatMap((one) => (one.change === change ? [{ directory, name: one.name }] : [])),
      ),
    )
    const kept = new Set(changes.filter((_, index) => choice.keeps(index)))
    for (const [index, file] of files.entries()) {
      const { octets, durable } = file
      const length = choice.octets(index, durable.length, octets.length)
      file.octets =
        length === undefined
          ? Buffer.concat([durable, Buffer.alloc(octets.length - durable.length)])
          : octets.subarray(0, length)
      file.durable = file.octets
    }
    const visit = (directory: DirectoryNode, seen: Set<Node>) => {
      if (seen.has(directory)) return
      seen.add(directory)
      for (const { name, node, change } of directory.pending) {
        if (!kept.has(change)) continue
        if (node === undefined) directory.durable.delete(name)
        else directory.durable.set(name, node)
      }
      directory.pending = []
      directory.entries = new Map(directory.durable)
      for (const node of directory.entries.values()) if (node.kind === 'directory') visit(node, seen)
    }
    visit(this.root, new Set())
    this.version += 1
    const paths = this.paths()
    return {
      changes: places.map((of) =>
        of.flatMap(({ directory, name }) => (paths.get(directory) ?? []).map((path) => `${path}/${name}`)),
      ),
      files: files.map((file) => paths.get(file) ?? []),
    }
  }

  private paths(): ReadonlyMap<Node, readonly string[]> {
    const found = new Map<Node, string[]>()
    const visit = (path: string, node: Node) => {
      found.set(node, [...(found.get(node) ?? []), path])
      if (node.kind === 'directory') for (const [name, child] of node.entries) visit(`${path}/${name}`, child)
    }
    visit('', this.root)
    return found
  }

  /** Names and contents, as one text: equal for disks that nobody can tell apart. */
  signature(): string {
    const parts: string[] = []
    const visit = (path: string, directory: DirectoryNode) => {
      for (const name of [...directory.entries.keys()].sort()) {
        const node = directory.entries.get(name)!
        parts.push(`${path}/${name}`, node.kind === 'file' ? node.octets.toString('latin1') : '/')
        if (node.kind === 'directory') visit(`${path}/${name}`, node)
      }
    }
    visit('', this.root)
    return parts.join('\0')
  }

  /** Paths of all files, for tests that look. */
  files(): string[] {
    const found: string[] = []
    const visit = (path: string, directory: DirectoryNode) => {
      for (const [name, node] of directory.entries)
        if (node.kind === 'directory') visit(`${path}/${name}`, node)
        else found.push(`${path}/${name}`)
    }
    visit('', this.root)
    return found.sort()
  }

  /** Puts other octets into a file behind the store's back; undefined removes it. */
  tamper(path: string, octets: Buffer | undefined): void {
    if (octets === undefined) this.unlink(path)
    else {
      const file = this.file(path)
      file.octets = octets
      file.durable = octets
      this.version += 1
    }
  }

  octets(path: string): Buffer {
    return this.file(path).octets
  }

  /** The disk as one actor sees it. */
  fs(gate: Gate = () => undefined): StoreFs {
    const pass: Pass = async (operation, path, work, from) => {
      const call = from === undefined ? { operation, path } : { operation, path, from }
      const verdict = await gate(call)
      this.watch?.(call)
      const result = work()
      if (verdict !== undefined) throw verdict.madeButTold
      return result
    }
    const list = (path: string) =>
      pass('list', path, () =>
        Array.from(this.directory(path).entries, ([name, node]) => ({
          name,
          isDirectory: node.kind === 'directory',
        })),
      )
    const begin = async (path: string, ...pieces: readonly Uint8Array[]) => {
      const file = await pass('write', path, () => {
        const created = this.createFile(path)
        created.octets = Buffer.concat(pieces)
        return created
      })
      return { durable: pass('finish', path, () => this.syncFile(file)) }
    }
    return {
      write: async (path, ...pieces) => (await begin(path, ...pieces)).durable,
      begin,
      create: (path) => pass('create', path, () => this.newFile(path, pass)),
      append: (path, octets) =>
        pass('append', path, () => {
          const file = this.find(path) === undefined ? this.createFile(path) : this.file(path)
          this.addTo(file, [octets])
        }),
      read: (path) => pass('read', path, () => Buffer.from(this.file(path).octets)),
      readPart: (path, start, length) =>
        pass('readPart', path, () => {
          const { octets } = this.file(path)
          return { sizeOctets: octets.length, octets: Buffer.from(octets.subarray(start, start + length)) }
        }),
      open: (path) => pass('open', path, () => this.openFile(path, pass)),
      link: (from, to) => pass('link', to, () => this.link(from, to), from),
      rename: (from, to) => pass('rename', to, () => this.rename(from, to), from),
      remove: (path) => pass('remove', path, () => this.unlink(path)),
      makeDirectory: (path) =>
        pass('makeDirectory', path, () => {
          if (this.find(path) !== undefined) throw systemError('EEXIST', path)
          this.enter(path, newDirectory(this.now), this.newChange('make', path))
        }),
      removeDirectory: (path) =>
        pass('removeDirectory', path, () => {
          if (this.directory(path).entries.size > 0) throw systemError('ENOTEMPTY', path)
          this.enter(path, undefined, this.newChange('remove', path))
        }),
      list,
      listInPieces: async function* (path) {
        yield await list(path)
      },
      status: (path) =>
        pass('status', path, () => {
          const node = this.find(path)
          if (node === undefined) throw systemError('ENOENT', path)
          const { kind, inode, changedMs } = node
          const sizeOctets = kind === 'file' ? node.octets.length : 0
          const mode = kind === 'file' ? fileMode : directoryMode
          return { kind, inode, sizeOctets, mode, owner: 0, group: 0, changedMs, isDirectory: kind === 'directory' }
        }),
      // One user and one mode is all that this disk knows.
      setMode: (path) => pass('setMode', path, () => {}),
      setOwner: (path) => pass('setOwner', path, () => {}),
      space: (path) =>
        pass('space', path, () => {
          if (this.find(path) === undefined) throw systemError('ENOENT', path)
          return { freeOctets: this.freeOctets(path) }
        }),
      syncDirectory: (path) => pass('syncDirectory', path, () => this.sync(this.directory(path))),
    }
  }

  /** Changes and files that are not durable, of everything that a power cut could leave. */
  private volatile(): { readonly changes: readonly Change[]; readonly files: readonly FileNode[] } {
    const changes = new Set<Change>()
    const files: FileNode[] = []
    const seen = new Set<Node>()
    const visit = (node: Node) => {
      if (seen.has(node)) return
      seen.add(node)
      if (node.kind === 'file') {
        if (node.octets !== node.durable) files.push(node)
        return
      }
      for (const child of node.durable.values()) visit(child)
      for (const { node: child, change } of node.pending) {
        changes.add(change)
        if (child !== undefined) visit(child)
      }
    }
    visit(this.root)
    return { changes: [...changes], files }
  }

  private newFile(path: string, pass: Pass): NewFile {
    const file = this.createFile(path)
    return {
      write: (...pieces) => pass('write chunk', path, () => this.addTo(file, pieces)),
      finish: () => pass('finish', path, () => this.syncFile(file)),
      discard: async () => {},
    }
  }

  private openFile(path: string, pass: Pass): OpenFile {
    const file = this.file(path)
    return {
      sizeOctets: file.octets.length,
      read: (position, length) =>
        pass('read part', path, () => Buffer.from(file.octets.subarray(position, position + length))),
      close: async () => {},
    }
  }

  private addTo(file: FileNode, pieces: readonly Uint8Array[]): void {
    file.octets = Buffer.concat([file.octets, ...pieces])
    file.changedMs = this.now
    this.version += 1
  }

  private syncFile(file: FileNode): void {
    file.durable = file.octets
    this.version += 1
  }

  private find(path: string): Node | undefined {
    let node: Node | undefined = this.root
    for (let start = 1; start < path.length; ) {
      if (node?.kind !== 'directory') return undefined
      let end = path.indexOf('/', start)
      if (end < 0) end = path.length
      node = node.entries.get(path.slice(start, end))
      start = end + 1
    }
    return node
  }

  private file(path: string): FileNode {
    const node = this.find(path)
    if (node?.kind !== 'file') throw systemError('ENOENT', path)
    return node
  }

  private directory(path: string): DirectoryNode {
    const node = this.find(path)
    if (node?.kind !== 'directory') throw systemError('ENOENT', path)
    return node
  }

  private createFile(path: string): FileNode {
    if (this.find(path) !== undefined) throw systemError('EEXIST', path)
    const nothing = Buffer.alloc(0)
    const file: FileNode = { kind: 'file', inode: newInode(), octets: nothing, durable: nothing, changedMs: this.now }
    this.enter(path, file, this.newChange('create', path))
    return file
  }

  private newChange(what: string, path: string): Change {
    return { what: `${what} ${path}`, directories: [] }
  }

  private enter(path: string, node: Node | undefined, change: Change): void {
    const slash = path.lastIndexOf('/')
    const parent = this.directory(path.slice(0, slash))
    const name = path.slice(slash + 1)
    if (node === undefined) {
      if (!parent.entries.delete(name)) throw systemError('ENOENT', path)
    } else parent.entries.set(name, node)
    parent.pending.push({ name, node, change })
    if (!change.directories.includes(parent)) change.directories.push(parent)
    parent.changedMs = this.now
    this.version += 1
  }

  private link(from: string, to: string): void {
    const file = this.file(from)
    if (this.find(to) !== undefined) throw systemError('EEXIST', to)
    this.enter(to, file, this.newChange('link', to))
    file.changedMs = this.now
  }

  private rename(from: string, to: string): void {
    const node = this.find(from)
    if (node === undefined) throw systemError('ENOENT', from)
    const there = this.find(to)
    this.directory(to.slice(0, to.lastIndexOf('/')))
    if (node.kind === 'directory' && there !== undefined && (there.kind === 'file' || there.entries.size > 0))
      throw systemError('ENOTEMPTY', to)
    const change = this.newChange('rename', `${from} to ${to}`)
    this.enter(from, undefined, change)
    this.enter(to, node, change)
    node.changedMs = this.now
  }

  private unlink(path: string): void {
    this.file(path).changedMs = this.now
    this.enter(path, undefined, this.newChange('remove', path))
  }

  /** A rename that touches this directory becomes durable on both sides, as on a journalling file system. */
  private sync(directory: DirectoryNode): void {
    const changes = new Set(directory.pending.map((one) => one.change))
    for (const change of changes)
      for (const side of change.directories) {
        if (side === directory) continue
        // What was done to this name before comes with it.
        const last = side.pending.findLastIndex((one) => one.change === change)
        const { name } = side.pending[last]!
        side.pending = side.pending.filter((one, index) => {
          if (one.name !== name || index > last) return true
          makeDurable(side, one)
          return false
        })
      }
    for (const one of directory.pending) makeDurable(directory, one)
    directory.pending = []
    this.version += 1
  }
}

/** Lets a call pass its gate, then does its work. */
type Pass = <T>(operation: Call['operation'], path: string, work: () => T, from?: string) => Promise<T>

function makeDurable(directory: DirectoryNode, { name, node }: EntryChange): void {
  if (node === undefined) directory.durable.delete(name)
  else directory.durable.set(name, node)
}
