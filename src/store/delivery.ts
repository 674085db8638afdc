/**
 * Messages on their way into a mailbox. A small one is collected in memory and written at once under its final name; a large one goes to
 * `tmp/` as it comes. The octets are written from where they arrived, without a copy, and nobody waits for the disk before `settled`
 * unless too much is on its way there (`Slots.room`). The files are durable before the change set that names them is linked, and what never
 * gets named is swept later.
 */

import { createHash, type Hash, hash } from 'node:crypto'
import { Summarizer } from '../mime/summary.ts'
import type { MessageSummary } from '../mime/types.ts'
import type { StoreContext } from './context.ts'
import { storeError } from './fs.ts'
import { checkNumbers, checkOrigin, messageFileName } from './message-file.ts'
import { addPiece, PouredFile } from './poured-file.ts'
import type { Delivered, Flag, MessageSink, NewMessage, OriginState } from './types.ts'
import { uniqueName } from './unique.ts'

/** Above this a message goes to its file as it comes. */
const inMemoryOctets = 256 * 1024

/** A message that is complete, but in no log yet. */
export interface Arrived {
  readonly file: string
  /** For the derived cache, where it was made as the octets passed. */
  readonly made: { readonly digest: string; readonly summary: MessageSummary } | undefined
  readonly flags: readonly Flag[]
  readonly message: NewMessage
}

/** One message of a delivery. */
export interface Arriving {
  readonly message: NewMessage
  /** Its origin is known already: the octets are not kept. */
  readonly duplicateOf: OriginState | undefined
  /** Once complete; its file may still be on its way to the disk. */
  readonly arrived: Arrived | undefined
  /** It has ended and is kept. */
  readonly isComplete: boolean
  /** Resolves when the file that `arrived` tells of has its turn at the disk. */
  readonly begun: Promise<void>
  /** Resolves when the file has its name, or never gets one, which `settled` then tells. */
  readonly named: Promise<void>
  /** Resolves when the file is durable (its name is not yet); of an aborted message no failure counts. */
  settled(): Promise<void>
  /** Takes back what was written, as well as can be. */
  remove(): Promise<void>
}

export class ArrivingMessage implements Arriving, MessageSink {
  readonly message: NewMessage
  readonly flags: readonly Flag[]
  readonly duplicateOf: OriginState | undefined
  arrived: Arrived | undefined
  begun: Promise<void> = Promise.resolve()
  named: Promise<void> = Promise.resolve()
  private readonly context: StoreContext
  private readonly directory: string
  private ended = false
  private aborted = false
  private sizeOctets = 0
  /** Undefined once it failed. */
  private summarizer: Summarizer | undefined = new Summarizer()
  /** What was collected. */
  private pieces: Uint8Array[] = []
  private poured: { readonly file: PouredFile; readonly hash: Hash } | undefined
  /** Everything asked of the disk so far. */
  private work: Promise<void> = Promise.resolve()
  private failure: unknown

  /** `directory`: the mailbox's. */
  constructor(
    context: StoreContext,
    directory: string,
    message: NewMessage,
    flags: readonly Flag[],
    duplicateOf: OriginState | undefined,
  ) {
    if (message.origin !== undefined) checkOrigin(message.origin)
    checkNumbers(message.internalDate)
    this.context = context
    this.directory = directory
    this.message = message
    this.flags = flags
    this.duplicateOf = duplicateOf
  }

  write(chunk: Uint8Array): void | Promise<void> {
    if (this.ended) throw new Error('the message has ended')
    if (this.failure !== undefined) throw this.failure
    this.sizeOctets += chunk.length
    if (this.duplicateOf !== undefined || chunk.length === 0) return
    this.summarize((summarizer) => summarizer.push(chunk))
    if (this.poured === undefined && this.sizeOctets <= inMemoryOctets) return addPiece(this.pieces, chunk)
    if (this.poured === undefined) {
      const file = new PouredFile(this.context, `${this.directory}/tmp/${uniqueName()}`)
      this.poured = { file, hash: createHash('sha256') }
      for (const piece of this.pieces) this.pour(this.poured, piece)
      this.pieces = []
    }
    this.pour(this.poured, chunk)
    return this.context.slots.room()
  }

  end(): void | Promise<void> {
    if (this.ended) return
    this.ended = true
    if (this.duplicateOf !== undefined) return
    if (this.poured !== undefined) this.follow(this.finishPoured(this.poured))
    else {
      const begun = Promise.withResolvers<void>()
      const named = Promise.withResolvers<void>()
      this.begun = begun.promise
      this.named = named.promise
      this.follow(this.writeCollected(begun.resolve, named.resolve))
    }
    return this.context.slots.room()
  }

  abort(): void | Promise<void> {
    this.ended = true
    this.aborted = true
    return this.remove()
  }

  get isComplete(): boolean {
    return this.arrived !== undefined && !this.aborted
  }

  async settled(): Promise<void> {
    if (this.aborted) await this.work.catch(() => {})
    else await this.work
  }

  async remove(): Promise<void> {
    const { fs } = this.context
    this.ended = true
    await this.work.catch(() => {})
    const file = this.arrived?.file
    this.arrived = undefined
    this.pieces = []
    if (file !== undefined) await fs.remove(`${this.directory}/msg/${file}`).catch(() => {})
    await this.poured?.file.remove()
  }

  private async writeCollected(begun: () => void, named: () => void): Promise<void> {
    const { fs, slots } = this.context
    const { pieces, sizeOctets } = this
    this.pieces = []
    this.arrived = this.name(digestOf(pieces))
    const path = this.pathOf(this.arrived)
    slots.hold(sizeOctets)
    try {
      await slots.run(async () => {
        begun()
        const { durable } = await fs.begin(path, ...pieces)
        named()
        await durable
      })
    } finally {
      named()
      slots.release(sizeOctets)
    }
  }

  private pour({ file, hash }: { readonly file: PouredFile; readonly hash: Hash }, piece: Uint8Array): void {
    hash.update(piece)
    this.follow(file.add(piece))
  }

  private async finishPoured({ file, hash }: { readonly file: PouredFile; readonly hash: Hash }): Promise<void> {
    await file.finish()
    const arrived = this.name(hash.digest('base64url'))
    await this.context.fs.rename(file.path, this.pathOf(arrived))
    this.poured = undefined
    this.arrived = arrived
  }

  private pathOf(arrived: Arrived): string {
    return `${this.directory}/msg/${arrived.file}`
  }

  private name(digest: string): Arrived {
    const { internalDate, origin } = this.message
    const file = messageFileName({ internalDate, origin, digest, sizeOctets: this.sizeOctets, unique: uniqueName() })
    const summary = this.summarize((summarizer) => summarizer.end())
    const made = summary === undefined ? undefined : { digest, summary }
    return { file, made, flags: this.flags, message: this.message }
  }

  /** What is derived of a message, or can't be, never keeps it out: that is tried again when somebody asks. */
  private summarize<T>(work: (summarizer: Summarizer) => T): T | undefined {
    try {
      return this.summarizer && work(this.summarizer)
    } catch (error) {
      this.summarizer = undefined
      const incident = { mailbox: this.directory, error: error instanceof Error ? error.stack : String(error) }
      this.context.log.log('err', 'no summary can be made of a message that comes', incident)
      return undefined
    }
  }

  /** The failure is told by the next write and by whoever waits; nobody has to. */
  private follow(work: Promise<void>): void {
    const told = work.catch((error: unknown) => {
      this.failure = storeError(error, 'Writing a message')
      throw this.failure
    })
    told.catch(() => {})
    this.work = told
  }
}

function digestOf(pieces: readonly Uint8Array[]): string {
  if (pieces.length === 1) return hash('sha256', pieces[0]!, 'base64url')
  const digest = createHash('sha256')
  for (const piece of pieces) digest.update(piece)
  return digest.digest('base64url')
}

/** Waits for all files, then tells the first failure. */
export async function settleAll(messages: readonly Arriving[]): Promise<void> {
  for (const result of await Promise.allSettled(messages.map((message) => message.settled())))
    if (result.status === 'rejected') throw result.reason
}

/** What the store did with a message that it kept, or why it didn't. */
export function fate(message: Arriving, outcome: Delivered | undefined): Delivered {
  if (message.duplicateOf !== undefined) return { duplicateOf: message.duplicateOf }
  return outcome ?? { aborted: true }
}
