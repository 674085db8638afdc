import { summarize, summarizeStream } from '../mime/summary.ts'
import type { MessageSummary } from '../mime/types.ts'
import { type OpenFile, type StoreFs, storeError } from './fs.ts'
import type { MessageContent } from './types.ts'

const chunkOctets = 64 * 1024
/** Of one trip to the disk. */
const readOctets = 2 * chunkOctets
/** Messages up to this size are read and summarised at once. */
const smallOctets = 64 * 1024

/** A message file that is not as large as it was when it came. */
export class WrongSize extends Error {
  constructor(octets: number, sizeOctets: number) {
    super(`has ${octets} octets instead of ${sizeOctets}`)
  }
}

/** One open message file. */
export class FileContent implements MessageContent {
  readonly sizeOctets: number
  private readonly file: OpenFile
  private closed = false

  constructor(file: OpenFile) {
    this.file = file
    this.sizeOctets = file.sizeOctets
  }

  async read(start: number, end: number): Promise<Buffer> {
    try {
      return await this.file.read(start, Math.max(0, Math.min(end, this.sizeOctets) - start))
    } catch (error) {
      throw storeError(error, 'Reading a message')
    }
  }

  async *stream(start = 0, end = this.sizeOctets): AsyncIterable<Buffer> {
    const last = Math.min(end, this.sizeOctets)
    const read = (at: number) => this.read(at, Math.min(at + readOctets, last))
    let next = start < last ? read(start) : undefined
    try {
      for (let at = start + readOctets; next !== undefined; at += readOctets) {
        const octets = await next
        // Read while somebody works on those before; its failure is told in its turn.
        next = at < last ? read(at) : undefined
        next?.catch(() => {})
        for (let from = 0; from < octets.length; from += chunkOctets) yield octets.subarray(from, from + chunkOctets)
      }
    } finally {
      await next?.catch(() => {})
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.closed) return
    this.closed = true
    await this.file.close()
  }
}

/** The octets of a small message. */
export class HeldContent implements MessageContent {
  private readonly octets: Buffer

  constructor(octets: Buffer) {
    this.octets = octets
  }

  get sizeOctets(): number {
    return this.octets.length
  }

  async read(start: number, end: number): Promise<Buffer> {
    return this.octets.subarray(start, end)
  }

  async *stream(start = 0, end = this.sizeOctets): AsyncIterable<Buffer> {
    if (start < end) yield this.octets.subarray(start, end)
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Of a message file that has to have this size. Throws WrongSize, and what the system says. */
export async function openContent(fs: StoreFs, path: string, sizeOctets: number): Promise<MessageContent> {
  if (sizeOctets <= smallOctets) return new HeldContent(await partOf(fs, path, sizeOctets, 0, sizeOctets))
  const content = new FileContent(await fs.open(path))
  if (content.sizeOctets === sizeOctets) return content
  await content[Symbol.asyncDispose]()
  throw new WrongSize(content.sizeOctets, sizeOctets)
}

/** Octets [start, end) of such a file, at most 64 KiB. Throws as `openContent`. */
export async function partOf(
  fs: StoreFs,
  path: string,
  sizeOctets: number,
  start: number,
  end: number,
): Promise<Buffer> {
  const part = await fs.readPart(path, start, end - start)
  if (part.sizeOctets === sizeOctets && part.octets.length === end - start) return part.octets
  throw new WrongSize(Math.min(part.sizeOctets, start + part.octets.length), sizeOctets)
}

/** By one pass over the message; a large one in chunks, so that others get their turn. */
export async function summaryOf(content: MessageContent): Promise<MessageSummary> {
  if (content.sizeOctets > smallOctets) return await summarizeStream(content.stream())
  return summarize(await content.read(0, content.sizeOctets))
}
