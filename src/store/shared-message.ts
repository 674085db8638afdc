/**
 * One message for any number of mailboxes. Its octets come once: up to some of them into memory, a larger message as a whole into a file; and there is
 * one copy of them on every partition, of which each mailbox there has a name.
 *
 * What a maintainer could break: a copy's octets are durable before any change set names any of its names, and each name's folder is synced by whoever
 * commits it. A name goes on being good when the copy's first one, or the file that the message came into, is removed.
 */
import { createHash, type Hash } from 'node:crypto'
import type { StoreContext } from './context.ts'
import { unlinkable } from './copy.ts'
import { codeOf, type OpenFile, storeError } from './fs.ts'
import { addPiece, PouredFile } from './poured-file.ts'
import type { SharedMessage } from './types.ts'
import { uniqueName } from './unique.ts'

/** A file on its way into a mailbox. */
export interface Coming {
  /** Resolves when it has its turn at the disk, or never gets one. */
  readonly begun: Promise<void>
  /** Resolves when it has its name, or never gets it. */
  readonly named: Promise<void>
  readonly durable: Promise<void>
  /** The name was made for it: where there was one, that is somebody else's file. */
  readonly isOwn: boolean
}

/** Octets that are on the disk, or on the way there. */
interface Copy {
  readonly path: string
  /** True when the name is there; false when it never will be. */
  readonly isNamed: Promise<boolean>
  readonly durable: Promise<void>
}

const chunkOctets = 64 * 1024

export interface SharedOptions {
  /** Above this the message goes to a file. */
  readonly memoryOctets: number
  /** Folder for that file, asked for when it is needed. */
  readonly folder: () => Promise<string>
}

export class StoredShared implements SharedMessage {
  sizeOctets = 0
  /** SHA-256, base64url; once it has ended. */
  digest = ''
  private readonly context: StoreContext
  private readonly options: SharedOptions
  private readonly hash: Hash = createHash('sha256')
  private pieces: Uint8Array[] = []
  private beginning: Promise<void> | undefined
  private poured: PouredFile | undefined
  private reading: Promise<OpenFile> | undefined
  /** In the order in which they were begun. */
  private readonly copies: Copy[] = []
  private failure: unknown

  constructor(context: StoreContext, options: SharedOptions) {
    this.context = context
    this.options = options
  }

  write(chunk: Uint8Array): void | Promise<void> {
    if (this.failure !== undefined) throw this.failure
    this.sizeOctets += chunk.length
    this.hash.update(chunk)
    if (this.poured !== undefined) return this.pour(this.poured, [chunk])
    addPiece(this.pieces, chunk)
    if (this.sizeOctets <= this.options.memoryOctets) return undefined
    this.beginning ??= doing('Writing a message', this.beginFile())
    return this.beginning
  }

  async end(): Promise<void> {
    this.digest = this.hash.digest('base64url')
    await this.beginning
    const { poured } = this
    if (poured === undefined) return
    // Everything is written; nothing of it has to be durable before somebody wants a name of it.
    await doing('Writing a message', poured.written())
    const finished = this.context.slots.run(() => poured.finish())
    finished.catch(() => {})
    this.copies.push({ path: poured.path, isNamed: Promise.resolve(true), durable: finished })
  }

  async read(start: number, end: number): Promise<Buffer> {
    const to = Math.min(end, this.sizeOctets)
    if (start >= to) return Buffer.alloc(0)
    if (this.poured !== undefined) {
      this.reading ??= doing('Reading a message', this.context.fs.open(this.poured.path))
      return await doing('Reading a message', (await this.reading).read(start, to - start))
    }
    const wanted: Uint8Array[] = []
    let at = 0
    for (const piece of this.pieces) {
      if (at < to && at + piece.length > start) wanted.push(piece.subarray(Math.max(0, start - at), to - at))
      at += piece.length
    }
    return Buffer.concat(wanted)
  }

  async *stream(start = 0, end = this.sizeOctets): AsyncIterable<Buffer> {
    const to = Math.min(end, this.sizeOctets)
    for (let at = start; at < to; at += chunkOctets) yield await this.read(at, Math.min(to, at + chunkOctets))
  }

  /** Gives the message a name, in a folder that is there. */
  place(path: string): Coming {
    const begun = Promise.withResolvers<void>()
    const named = Promise.withResolvers<void>()
    let isOwn = false
    const gotName = () => {
      isOwn = true
      named.resolve()
    }
    const durable = this.placeAt(path, begun.resolve, gotName).finally(() => {
      begun.resolve()
      named.resolve()
    })
    durable.catch(() => {})
    return {
      begun: begun.promise,
      named: named.promise,
      durable,
      get isOwn() {
        return isOwn
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.beginning?.catch(() => {})
    await Promise.allSettled(this.copies.map(({ durable }) => durable))
    this.pieces = []
    const { reading } = this
    // Once only: the number may belong to another file by now.
    this.reading = undefined
    await (await reading?.catch(() => undefined))?.close().catch(() => {})
    await this.poured?.remove()
  }

  private async placeAt(path: string, begun: () => void, named: () => void): Promise<void> {
    const { fs, slots } = this.context
    // Others may begin copies meanwhile, on a partition that the first ones are not on.
    for (let index = 0; index < this.copies.length; index += 1) {
      const copy = this.copies[index]!
      if (!(await copy.isNamed)) continue
      try {
        await slots.run(() => {
          begun()
          return fs.link(copy.path, path)
        })
      } catch (error) {
        // Where the first name is gone there is no folder of ours either, or the other mailbox was removed.
        if (codeOf(error) !== 'ENOENT' && !unlinkable.includes(codeOf(error))) throw error
        continue
      }
      named()
      return await copy.durable
    }
    const isNamed = Promise.withResolvers<boolean>()
    const durable = this.writeCopy(path, begun, () => {
      isNamed.resolve(true)
      named()
    }).finally(() => isNamed.resolve(false))
    durable.catch(() => {})
    this.copies.push({ path, isNamed: isNamed.promise, durable })
    return await durable
  }

  private writeCopy(path: string, begun: () => void, named: () => void): Promise<void> {
    const { fs, slots } = this.context
    return slots.run(async () => {
      begun()
      if (this.poured === undefined) {
        const { durable } = await fs.begin(path, ...this.pieces)
        named()
        return await durable
      }
      const file = await fs.create(path)
      named()
      try {
        for await (const chunk of this.stream()) await file.write(chunk)
        await file.finish()
      } finally {
        await file.discard()
      }
    })
  }

  private async beginFile(): Promise<void> {
    const poured = new PouredFile(this.context, `${await this.options.folder()}/${uniqueName()}`)
    const { pieces } = this
    this.poured = poured
    this.pieces = []
    await this.pour(poured, pieces)
  }

  private pour(poured: PouredFile, pieces: readonly Uint8Array[]): void | Promise<void> {
    for (const piece of pieces)
      poured.add(piece).catch((error: unknown) => {
        this.failure = storeError(error, 'Writing a message')
      })
    return this.context.slots.room()
  }
}

async function doing<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw storeError(error, what)
  }
}
