/**
 * A disk in memory that forgets: file contents and directory entries are durable only once synced, and a power cut keeps any subset of what
 * was not. Every call of every actor passes a gate, so that a test decides the order, fails a call, or cuts the power before it.
 */

import { dirname } from 'node:path'
import type { NewFile, OpenFile, StoreFs } from '#src/store/fs.ts'

interface FileNode {
  readonly kind: 'file'
  octets: Buffer
  /** What a power cut leaves of the content. */
  durable: Buffer
  changedMs: number
}
interface DirectoryNode {
  readonly kind: 'directory'
  entries: Map<string, Node>
  durable: Map<string, Node>
  /** Entry changes since the last sync, in order; those of a rename belong together. */
  pending: { readonly name: string; readonly node: Node | undefined; readonly group: object }[]
  changedMs: number
}
type Node = FileNode | DirectoryNode

export interface Call {
  readonly operation: keyof StoreFs | 'write chunk' | 'finish' | 'read part'
  readonly path: string
}

/** Lets a call happen, now or later, or rejects it. */
export type Gate = (call: Call) => Promise<void> | undefined

export function systemError(code: string, path = ''): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}

const newDirectory = (): DirectoryNode => ({
  kind: 'directory',
  entries: new Map(),
  durable: new Map(),
  pending: [],
  changedMs: 0,
})

export class MemoryDisk {
  private root = newDirectory()
  now = 1_700_000_000_000

  /** A copy that goes its own way. */
  clone(): MemoryDisk {
    const copy = new MemoryDisk()
    const nodes = new Map<Node, Node>()
    const groups = new Map<object, object>()
    const of = (node: Node): Node => {
      const known = nodes.get(node)
      if (known !== undefined) return known
      if (node.kind === 'file') {
        const file = { ...node }
        nodes.set(node, file)
        return file
      }
      const directory = newDirectory()
      nodes.set(node, directory)
      for (const [name, child] of node.entries) directory.entries.set(name, of(child))
      for (const [name, child] of node.durable) directory.durable.set(name, of(child))
      directory.pending = node.pending.map(({ name, node: child, group }) => {
        if (!groups.has(group)) groups.set(group, {})
        return { name, node: child === undefined ? undefined : of(child), group: groups.get(group)! }
      })
      return directory
    }
    copy.root = of(this.root) as DirectoryNode
    copy.now = this.now
    return copy
  }

  /** The power goes and comes back. `keeps` decides for every change that was not synced, and how much of an unsynced file (0 to 1). */
  cutPower(keeps: () => number): void {
    const decided = new Map<object, boolean>()
    const visit = (directory: DirectoryNode, seen: Set<Node>) => {
      if (seen.has(directory)) return
      seen.add(directory)
      for (const { name, node, group } of directory.pending) {
        if (!decided.has(group)) decided.set(group, keeps() < 0.5)
        if (decided.get(group) !== true) continue
        if (node === undefined) directory.durable.delete(name)
        else directory.durable.set(name, node)
      }
      directory.pending = []
      directory.entries = new Map(directory.durable)
      for (const node of directory.entries.values()) {
        if (node.kind === 'directory') visit(node, seen)
        else if (node.octets !== node.durable) {
          node.octets = Buffer.from(node.octets.subarray(0, Math.floor(node.octets.length * keeps())))
          node.durable = node.octets
        }
      }
    }
    visit(this.root, new Set())
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
    }
  }

  octets(path: string): Buffer {
    return this.file(path).octets
  }

  /** The disk as one actor sees it. */
  fs(gate: Gate = () => undefined): StoreFs {
    const call = async <T>(operation: Call['operation'], path: string, work: () => T): Promise<T> => {
      await gate({ operation, path })
      return work()
    }
    return {
      write: (path, ...pieces) =>
        call('write', path, () => {
          const file = this.createFile(path)
          file.octets = Buffer.concat(pieces)
          file.durable = file.octets
        }),
      create: (path) => call('create', path, () => this.newFile(path, call)),
      append: (path, octets) =>
        call('append', path, () => {
          const file = this.find(path) === undefined ? this.createFile(path) : this.file(path)
          file.octets = Buffer.concat([file.octets, octets])
          file.changedMs = this.now
        }),
      read: (path) => call('read', path, () => Buffer.from(this.file(path).octets)),
      open: (path) => call('open', path, () => this.openFile(path, call)),
      link: (from, to) =>
        call('link', to, () => {
          const file = this.file(from)
          if (this.find(to) !== undefined) throw systemError('EEXIST', to)
          this.enter(to, file, {})
          file.changedMs = this.now
        }),
      rename: (from, to) => call('rename', to, () => this.rename(from, to)),
      remove: (path) => call('remove', path, () => this.unlink(path)),
      makeDirectory: (path) =>
        call('makeDirectory', path, () => {
          if (this.find(path) !== undefined) throw systemError('EEXIST', path)
          this.enter(path, { ...newDirectory(), changedMs: this.now }, {})
        }),
      removeDirectory: (path) =>
        call('removeDirectory', path, () => {
          if (this.directory(path).entries.size > 0) throw systemError('ENOTEMPTY', path)
          this.enter(path, undefined, {})
        }),
      list: (path) =>
        call('list', path, () =>
          Array.from(this.directory(path).entries, ([name, node]) => ({
            name,
            isDirectory: node.kind === 'directory',
          })),
        ),
      status: (path) =>
        call('status', path, () => {
          const node = this.find(path)
          if (node === undefined) throw systemError('ENOENT', path)
          const sizeOctets = node.kind === 'file' ? node.octets.length : 0
          return { sizeOctets, changedMs: node.changedMs, isDirectory: node.kind === 'directory' }
        }),
      syncDirectory: (path) => call('syncDirectory', path, () => this.sync(this.directory(path))),
    }
  }

  private newFile(path: string, call: <T>(operation: Call['operation'], path: string, work: () => T) => Promise<T>) {
    const file = this.createFile(path)
    const open: NewFile = {
      write: (...pieces) =>
        call('write chunk', path, () => {
          file.octets = Buffer.concat([file.octets, ...pieces])
        }),
      finish: () =>
        call('finish', path, () => {
          file.durable = file.octets
        }),
      discard: async () => {},
    }
    return open
  }

  private openFile(path: string, call: <T>(operation: Call['operation'], path: string, work: () => T) => Promise<T>) {
    const file = this.file(path)
    const open: OpenFile = {
      sizeOctets: file.octets.length,
      read: (position, length) =>
        call('read part', path, () => Buffer.from(file.octets.subarray(position, position + length))),
      close: async () => {},
    }
    return open
  }

  private find(path: string): Node | undefined {
    let node: Node | undefined = this.root
    for (const name of path.split('/')) {
      if (name === '') continue
      if (node?.kind !== 'directory') return undefined
      node = node.entries.get(name)
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
    const file: FileNode = { kind: 'file', octets: Buffer.alloc(0), durable: Buffer.alloc(0), changedMs: this.now }
    this.enter(path, file, {})
    return file
  }

  private enter(path: string, node: Node | undefined, group: object): void {
    const parent = this.directory(dirname(path))
    const name = path.slice(path.lastIndexOf('/') + 1)
    if (node === undefined) {
      if (!parent.entries.delete(name)) throw systemError('ENOENT', path)
    } else parent.entries.set(name, node)
    parent.pending.push({ name, node, group })
    parent.changedMs = this.now
  }

  private rename(from: string, to: string): void {
    const node = this.find(from)
    if (node === undefined) throw systemError('ENOENT', from)
    const there = this.find(to)
    this.directory(dirname(to))
    if (node.kind === 'directory' && there !== undefined && (there.kind === 'file' || there.entries.size > 0))
      throw systemError('ENOTEMPTY', to)
    const group = {}
    this.enter(from, undefined, group)
    this.enter(to, node, group)
    node.changedMs = this.now
  }

  private unlink(path: string): void {
    this.file(path).changedMs = this.now
    this.enter(path, undefined, {})
  }

  /** A rename that touches this directory becomes durable on both sides, as on a journalling file system. */
  private sync(directory: DirectoryNode): void {
    const groups = new Set(directory.pending.map((change) => change.group))
    const visit = (one: DirectoryNode) => {
      one.pending = one.pending.filter((change) => {
        if (!groups.has(change.group)) return true
        if (change.node === undefined) one.durable.delete(change.name)
        else one.durable.set(change.name, change.node)
        return false
      })
      for (const node of new Set([...one.entries.values(), ...one.durable.values()]))
        if (node.kind === 'directory') visit(node)
    }
    visit(this.root)
  }
}
