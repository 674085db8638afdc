/**
 * Messages on their way into a mailbox. A small one is collected in memory and written at once under its final name; a large one goes to
 * `tmp/` as it comes. The files are durable before the change set that names them is, and what never gets named is swept later.
 */

import { createHash, type Hash, hash } from 'node:crypto'
import { StoreError } from '../base/errors.ts'
import type { StoreContext } from './context.ts'
import { type NewFile, storeError } from './fs.ts'
import { checkOrigin, messageFileName } from './message-file.ts'
import type { Delivered, Flag, MessageSink, NewMessage, OriginState } from './types.ts'
import { uniqueName } from './unique.ts'

/** Above this a message goes to its file as it comes. */
const inMemoryOctets = 256 * 1024
const firstBufferOctets = 4096

/** A message that is complete and durable, but in no log yet. */
export interface Arrived {
  readonly file: string
  readonly flags: readonly Flag[]
  readonly message: NewMessage
}

export class ArrivingMessage implements MessageSink {
  readonly message: NewMessage
  readonly flags: readonly Flag[]
  /** Its origin is known already: the octets are not kept. */
  readonly duplicateOf: OriginState | undefined
  /** Once complete. */
  arrived: Arrived | undefined
  private readonly context: StoreContext
  private readonly directory: string
  private ended = false
  private sizeOctets = 0
  private buffer: Buffer = Buffer.alloc(0)
  private hash: Hash | undefined
  private stream: Promise<NewFile> | undefined
  private streamPath = ''
  /** Everything asked of the disk so far. */
  private work: Promise<void> = Promise.resolve()

  /** `directory`: the mailbox's. */
  constructor(
    context: StoreContext,
    directory: string,
    message: NewMessage,
    flags: readonly Flag[],
    duplicateOf: OriginState | undefined,
  ) {
    if (message.origin !== undefined) checkOrigin(message.origin)
    if (!Number.isSafeInteger(message.internalDate) || Math.abs(message.internalDate) > 1e14)
      throw new StoreError('invalid', 'INTERNALDATE is no whole number of seconds')
    this.context = context
    this.directory = directory
    this.message = message
    this.flags = flags
    this.duplicateOf = duplicateOf
  }

  write(chunk: Uint8Array): void | Promise<void> {
    if (this.ended) throw new Error('the message has ended')
    const start = this.sizeOctets
    this.sizeOctets += chunk.length
    if (this.duplicateOf !== undefined) return
    if (this.stream === undefined && this.sizeOctets <= inMemoryOctets) {
      if (this.sizeOctets > this.buffer.length) this.grow(start)
      this.buffer.set(chunk, start)
      return
    }
    if (this.stream === undefined) this.spill(this.buffer.subarray(0, start))
    const octets = Buffer.from(chunk)
    return this.enqueue(octets)
  }

  end(): void | Promise<void> {
    if (this.ended) return
    this.ended = true
    if (this.duplicateOf !== undefined) return
    const { fs, slots } = this.context
    const octets = this.buffer.subarray(0, this.sizeOctets)
    if (this.stream === undefined) {
      const arrived = this.name(hash('sha256', octets, 'base64url'))
      this.arrived = arrived
      this.buffer = octets
      this.follow(
        slots
          .run(() => fs.write(`${this.directory}/msg/${arrived.file}`, octets))
          .then(() => {
            this.buffer = Buffer.alloc(0)
          }),
      )
      return slots.room()
    }
    this.follow(this.finishStream(this.stream))
    return this.work
  }

  abort(): void | Promise<void> {
    this.ended = true
    return this.remove()
  }

  /** Resolves when the file is durable (its name is not yet). */
  async settled(): Promise<void> {
    await this.work
  }

  /** Takes back what was written, as well as can be. */
  async remove(): Promise<void> {
    const { fs } = this.context
    this.ended = true
    await this.work.catch(() => {})
    const file = this.arrived?.file
    this.arrived = undefined
    this.buffer = Buffer.alloc(0)
    if (file !== undefined) await fs.remove(`${this.directory}/msg/${file}`).catch(() => {})
    if (this.stream === undefined) return
    await this.stream.then((stream) => stream.discard()).catch(() => {})
    await fs.remove(this.streamPath).catch(() => {})
  }

  private grow(used: number): void {
    const octets = Math.max(firstBufferOctets, 2 * this.buffer.length, this.sizeOctets)
    const larger = Buffer.allocUnsafe(Math.min(octets, inMemoryOctets))
    this.buffer.copy(larger, 0, 0, used)
    this.buffer = larger
  }

  private spill(octets: Buffer): void {
    this.streamPath = `${this.directory}/tmp/${uniqueName()}`
    this.hash = createHash('sha256')
    this.stream = this.context.fs.create(this.streamPath)
    this.follow(this.stream.then(() => {}))
    this.buffer = Buffer.alloc(0)
    if (octets.length > 0) void this.enqueue(octets)
  }

  private enqueue(octets: Buffer): Promise<void> {
    this.hash!.update(octets)
    const stream = this.stream!
    this.follow(this.work.then(async () => (await stream).write(octets)))
    return this.work
  }

  private async finishStream(opened: Promise<NewFile>): Promise<void> {
    await this.work
    const stream = await opened
    await stream.finish()
    const arrived = this.name(this.hash!.digest('base64url'))
    await this.context.fs.rename(this.streamPath, `${this.directory}/msg/${arrived.file}`)
    this.stream = undefined
    this.arrived = arrived
  }

  private name(digest: string): Arrived {
    const { internalDate, origin } = this.message
    const file = messageFileName({ internalDate, origin, digest, sizeOctets: this.sizeOctets, unique: uniqueName() })
    return { file, flags: this.flags, message: this.message }
  }

  /** The failure is told by whoever waits; nobody has to. */
  private follow(work: Promise<void>): void {
    const told = work.catch((error: unknown) => {
      throw storeError(error, 'Writing a message')
    })
    told.catch(() => {})
    this.work = told
  }
}

/** Waits for all files, then tells the first failure. */
export async function settleAll(messages: readonly ArrivingMessage[]): Promise<void> {
  for (const result of await Promise.allSettled(messages.map((message) => message.settled())))
    if (result.status === 'rejected') throw result.reason
}

/** What the store did with a message that it kept, or why it didn't. */
export function fate(message: ArrivingMessage, outcome: Delivered | undefined): Delivered {
  if (message.duplicateOf !== undefined) return { duplicateOf: message.duplicateOf }
  return outcome ?? { aborted: true }
}
