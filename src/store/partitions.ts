/**
 * The directories that accounts are spread over. The first is the store's home; a marker file in each of the others names it and the home, and
 * the home keeps a list of them. So one that is not mounted is missed, and its empty mount point is never filled.
 *
 *     <home>/.wherry-partition        {"id":"<home>"}
 *     <home>/.partitions/<id>         path at which the partition with this id was last seen
 *     <partition>/.wherry-partition   {"id":"<id>","home":"<home>"}
 *
 * A store with one root has none of these files.
 */

import { createHash } from 'node:crypto'
import { StoreError } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { StoreContext } from './context.ts'
import { codeOf, unlessAbsent } from './fs.ts'
import { makeDirectories, makeIfAbsent } from './tree.ts'
import { randomId, uniqueName } from './unique.ts'

/** Where a new account goes: into the home, where most space is free, or evenly by the user id. */
export type PartitionRule = 'first' | 'free' | 'spread'

export interface PartitionOptions {
  /** Absolute; the home first. */
  readonly roots: readonly string[]
  readonly rule: PartitionRule
  /** The root that the user's own entry names for a new account. */
  readonly ownRoot: (userId: UserId) => Promise<string | undefined>
}

/** Of the file that marks a root. */
export const markerName = '.wherry-partition'
/** Of the home's folder that lists partitions. */
export const listName = '.partitions'

interface Marker {
  readonly id: string
  readonly home?: string
}

export class Partitions {
  readonly roots: readonly string[]
  readonly home: string
  private readonly context: StoreContext
  private readonly options: PartitionOptions
  /** Partitions, by id, whose path the home's list has. */
  private readonly listed = new Map<string, string>()

  constructor(context: StoreContext, options: PartitionOptions) {
    this.context = context
    this.options = options
    this.roots = options.roots
    this.home = options.roots[0]!
  }

  /** There is one root only: accounts don't have to be looked for. */
  get single(): boolean {
    return this.roots.length === 1
  }

  /** The id of a root that is there and is the one it should be. Throws StoreError unavailable, which says what is wrong and what to do. */
  async idOf(root: string): Promise<string> {
    const home = await this.homeId()
    if (root === this.home) return home
    const marker = (await this.readMarker(root)) ?? (await this.begin(root, home))
    if (marker.home !== home)
      throw unavailable(`${root} is a partition of another store than ${this.home}; see which of them is the wrong one`)
    await this.enlist(root, marker.id)
    return marker.id
  }

  /** Throws StoreError unavailable unless every root is there: only then is an account that is in none of them absent. */
  async needAll(): Promise<void> {
    const ids = new Map<string, string>()
    for (const root of this.roots) {
      const id = await this.idOf(root)
      const other = ids.get(id)
      if (other !== undefined)
        throw unavailable(`${root} and ${other} are the same partition, or one is a copy of the other`)
      ids.set(id, root)
    }
  }

  /** The root for a new account. Throws StoreError unavailable. */
  async choose(userId: UserId): Promise<string> {
    const own = await this.options.ownRoot(userId)
    if (own !== undefined) return this.rootAt(own, `mboxRootUserDir of ${userId}`)
    switch (this.options.rule) {
      case 'first':
        return this.home
      case 'free':
        return await this.largest(async (root) => (await this.context.fs.space(root)).freeOctets)
      case 'spread':
        // The highest of as many hashes: another partition takes its share from all others, and nothing else moves.
        return await this.largest(async (root) => spread(await this.idOf(root), userId))
    }
  }

  /** `path` as one of the roots. `what` names the setting it comes from. Throws StoreError unavailable. */
  rootAt(path: string, what: string): string {
    const root = path.length > 1 ? path.replace(/\/+$/, '') : path
    if (this.roots.includes(root)) return root
    throw unavailable(
      `${what} is ${path}, which is neither userdir nor one of the partitions (${this.roots.join(', ')})`,
    )
  }

  private async largest(value: (root: string) => Promise<number>): Promise<string> {
    let best = this.home
    let most = Number.NEGATIVE_INFINITY
    for (const root of this.roots) {
      const found = await value(root)
      if (found > most) [best, most] = [root, found]
    }
    return best
  }

  private async homeId(): Promise<string> {
    const marker = await this.readMarker(this.home)
    if (marker !== undefined) return marker.id
    // A home that went away must not begin anew: the partitions remember that there was one.
    for (const root of this.roots.slice(1)) {
      if ((await this.readMarker(root)) === undefined) continue
      // Unless somebody else began with both at this moment.
      const begun = await this.readMarker(this.home)
      if (begun !== undefined) return begun.id
      throw unavailable(`${this.home} has no ${markerName}, but its partition ${root} has one; is it mounted?`)
    }
    await makeDirectories(this.context.fs, '', this.home)
    return (await this.mark(this.home, { id: randomId() })).id
  }

  /** The first use of a partition, unless the home knows that it was one before. */
  private async begin(root: string, home: string): Promise<Marker> {
    const { fs } = this.context
    if ((await unlessAbsent(fs.status(root)))?.isDirectory !== true)
      throw unavailable(`the partition ${root} is not there; mount it, or make the directory if it is a new one`)
    for (const { name } of (await unlessAbsent(fs.list(`${this.home}/${listName}`))) ?? []) {
      if ((await this.pathOf(name)) !== root) continue
      // Unless somebody else began with it at this moment.
      const begun = await this.readMarker(root)
      if (begun !== undefined) return begun
      throw unavailable(
        `the partition ${root} is not mounted: its ${markerName} is missing; mount it, or if it is lost for good remove ${this.home}/${listName}/${name}`,
      )
    }
    return await this.mark(root, { id: randomId(), home })
  }

  private async enlist(root: string, id: string): Promise<void> {
    if (this.listed.get(id) === root) return
    const { fs } = this.context
    const list = `${this.home}/${listName}`
    if ((await this.pathOf(id)) !== root) {
      await makeIfAbsent(fs, list)
      const draft = `${list}/.${uniqueName()}`
      await fs.write(draft, Buffer.from(`${root}\n`))
      await fs.rename(draft, `${list}/${id}`)
      await fs.syncDirectory(list)
      await fs.syncDirectory(this.home)
    }
    this.listed.set(id, root)
  }

  private async pathOf(id: string): Promise<string | undefined> {
    const octets = await unlessAbsent(this.context.fs.read(`${this.home}/${listName}/${id}`))
    return octets?.toString('utf8').replace(/\n$/, '')
  }

  private async readMarker(root: string): Promise<Marker | undefined> {
    const octets = await unlessAbsent(this.context.fs.read(`${root}/${markerName}`))
    if (octets === undefined) return undefined
    const marker = parseMarker(octets)
    if (marker === undefined) throw unavailable(`${root}/${markerName} is damaged; restore it from a backup`)
    return marker
  }

  /** Whoever is first decides: the marker that is there afterwards. */
  private async mark(root: string, marker: Marker): Promise<Marker> {
    const { fs } = this.context
    const draft = `${root}/.${uniqueName()}`
    await fs.write(draft, Buffer.from(`${JSON.stringify(marker)}\n`))
    try {
      await fs.link(draft, `${root}/${markerName}`)
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    } finally {
      await fs.remove(draft)
    }
    await fs.syncDirectory(root)
    return (await this.readMarker(root)) ?? marker
  }
}

function parseMarker(octets: Buffer): Marker | undefined {
  try {
    const { id, home } = JSON.parse(octets.toString('utf8')) as Partial<Record<string, unknown>>
    if (typeof id !== 'string' || !/^[0-9a-f]{32}$/.test(id)) return undefined
    return typeof home === 'string' ? { id, home } : { id }
  } catch {
    return undefined
  }
}

const spread = (id: string, userId: UserId) => createHash('sha256').update(`${id}\n${userId}`).digest().readUIntBE(0, 6)

const unavailable = (message: string) => new StoreError('unavailable', message)
