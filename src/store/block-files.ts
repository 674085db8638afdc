/**
 * The files of a derived cache of a mailbox, `cache/<prefix><shape>.<first>`: each holds what was made of the messages with the 256 UIDs from `first` on, added by any
 * process. Any of it may be deleted or damaged at any time: what doesn't check out is as good as absent, and what fails costs time later and nothing else. Not durable.
 */

import type { Uid } from '../base/ids.ts'
import type { StoreContext } from './context.ts'
import { unlessAbsent } from './fs.ts'
import { makeIfAbsent } from './tree.ts'
import type { MessageList, MessageRecord } from './types.ts'
import { uniqueName } from './unique.ts'

/** UIDs of one block. */
export const blockUids = 256

/** First UID of the block of a message. */
export const firstOf = (uid: Uid): Uid => (uid - ((uid - 1) % blockUids)) as Uid

/** Entries of a block that check out. */
export interface BlockEntries {
  /** By the digest (base64url) of the message's octets, the last of each. */
  readonly entries: ReadonlyMap<string, Buffer>
  /** Doubled ones, too. */
  readonly count: number
  /** All of the octets are sound. */
  readonly isWhole: boolean
}

export interface BlockKind {
  /** Of every file of the cache, whatever shape its entries have. */
  readonly prefix: string
  /** Changes with what an entry is made of, and how. */
  readonly shape: number
  /** Of a file. */
  readonly maxOctets: number
  read(octets: Buffer): BlockEntries
}

/** What is asked of the mailbox, as it is at that moment. */
export interface BlockSource {
  /** Nothing may be changed. */
  readonly readOnly: boolean
  readonly directory: string
  readonly messages: MessageList
}

/** First UID of the block in a file of this name; undefined for one that is not of the kind's present shape. */
export function firstIn({ prefix, shape }: BlockKind, name: string): Uid | undefined {
  const start = `${prefix}${shape}.`
  const first = name.slice(start.length)
  return name.startsWith(start) && /^[1-9][0-9]{0,9}$/.test(first) ? (Number(first) as Uid) : undefined
}

export class BlockFiles {
  private readonly context: StoreContext
  private readonly mailbox: BlockSource
  private readonly kind: BlockKind

  constructor(context: StoreContext, mailbox: BlockSource, kind: BlockKind) {
    this.context = context
    this.mailbox = mailbox
    this.kind = kind
  }

  pathOf(first: Uid): string {
    return `${this.mailbox.directory}/cache/${this.kind.prefix}${this.kind.shape}.${first}`
  }

  /** As much of a block as may be; empty when there is none. `isCut`: there is more. */
  async octets(first: Uid): Promise<{ readonly octets: Buffer; readonly isCut: boolean }> {
    const { maxOctets } = this.kind
    const read = this.context.fs.open(this.pathOf(first)).then(async (file) => {
      try {
        const octets = await file.read(0, Math.min(file.sizeOctets, maxOctets))
        return { octets, isCut: file.sizeOctets > maxOctets }
      } finally {
        await file.close()
      }
    })
    return (await this.attempt('read', first, unlessAbsent(read))) ?? { octets: Buffer.alloc(0), isCut: false }
  }

  /** The entries of a block; the file is written anew when it is damaged, or most of it is doubled or of messages that left. */
  async entries(first: Uid): Promise<ReadonlyMap<string, Buffer>> {
    const { octets } = await this.octets(first)
    const { entries, count, isWhole } = this.kind.read(octets)
    if (!isWhole || count > 2 * this.countOf(first)) await this.rewrite(first, entries)
    return entries
  }

  /** Adds octets at the end, as long as there is room. Answers whether they are there. */
  async append(first: Uid, octets: Buffer): Promise<boolean> {
    if (this.mailbox.readOnly) return false
    const { fs } = this.context
    const path = this.pathOf(first)
    const append = async () => {
      const status = await unlessAbsent(fs.status(path))
      if ((status?.sizeOctets ?? 0) + octets.length > this.kind.maxOctets) return false
      // The folder of a mailbox that came from a backup without empty ones.
      if (status === undefined) await makeIfAbsent(fs, `${this.mailbox.directory}/cache`)
      await fs.append(path, octets)
      return true
    }
    return (await this.attempt('written', first, append())) ?? false
  }

  /** Leaves the entries of the messages that are there; answers those octets. What somebody adds meanwhile is lost, and made again. */
  async rewrite(first: Uid, entries: ReadonlyMap<string, Buffer>): Promise<Buffer> {
    const kept: Buffer[] = []
    for (const digest of this.digests(first)) {
      const entry = entries.get(digest)
      if (entry !== undefined) kept.push(entry)
    }
    const octets = Buffer.concat(kept)
    if (!this.mailbox.readOnly) await this.attempt('written', first, this.replace(this.pathOf(first), octets))
    return octets
  }

  /** Removes blocks of another shape, and everything of messages that left. `changed` is told of each block that is not as it was. */
  async sweep(changed: (path: string) => void = () => {}): Promise<void> {
    const { fs, log } = this.context
    const folder = `${this.mailbox.directory}/cache`
    try {
      for (const { name } of (await unlessAbsent(fs.list(folder))) ?? []) {
        if (!name.startsWith(this.kind.prefix)) continue
        const path = `${folder}/${name}`
        const first = firstIn(this.kind, name)
        if (first === undefined || this.countOf(first) === 0) await unlessAbsent(fs.remove(path))
        else if (!(await this.dropDead(first))) continue
        changed(path)
      }
    } catch (error) {
      log.log('info', 'a derived cache was not swept', { folder, files: this.kind.prefix, error: String(error) })
    }
  }

  /** Messages of the block. */
  countOf(first: Uid): number {
    const { messages } = this.mailbox
    return messages.positionOf((first + blockUids) as Uid) - messages.positionOf(first)
  }

  /** Those that are here. */
  *recordsOf(first: Uid): Generator<MessageRecord, void, undefined> {
    const { messages } = this.mailbox
    const end = messages.positionOf((first + blockUids) as Uid)
    for (let at = messages.positionOf(first); at < end; at += 1) if (messages.isHereAt(at)) yield messages.at(at)!
  }

  private digests(first: Uid): ReadonlySet<string> {
    return new Set(this.recordsOf(first).map(({ digest }) => digest))
  }

  /** Answers whether there was anything. A block whose messages are all there has nothing of others. */
  private async dropDead(first: Uid): Promise<boolean> {
    if (this.countOf(first) === blockUids) return false
    const { octets } = await this.octets(first)
    const { entries } = this.kind.read(octets)
    const alive = this.digests(first)
    if (entries.keys().every((digest) => alive.has(digest))) return false
    await this.rewrite(first, entries)
    return true
  }

  private async replace(path: string, octets: Buffer): Promise<void> {
    const { fs } = this.context
    if (octets.length === 0) return void (await unlessAbsent(fs.remove(path)))
    const written = `${this.mailbox.directory}/tmp/${uniqueName()}`
    await fs.append(written, octets)
    await fs.rename(written, path)
  }

  private async attempt<T>(what: string, first: Uid, work: Promise<T>): Promise<T | undefined> {
    try {
      return await work
    } catch (error) {
      this.context.log.log('info', `a derived cache was not ${what}`, {
        path: this.pathOf(first),
        error: String(error),
      })
      return undefined
    }
  }
}
