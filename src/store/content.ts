import { summarize, summarizeStream } from '../mime/summary.ts'
import type { MessageSummary } from '../mime/types.ts'
import type { OpenFile } from './fs.ts'
import { storeError } from './fs.ts'
import type { MessageContent } from './types.ts'

const chunkOctets = 64 * 1024
/** Messages up to this size are read and summarised at once. */
const wholeOctets = 64 * 1024

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
    for (let at = start; at < last; at += chunkOctets) yield await this.read(at, Math.min(at + chunkOctets, last))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.closed) return
    this.closed = true
    await this.file.close()
  }
}

/** By one pass over the message; a large one in chunks, so that others get their turn. */
export async function summaryOf(content: MessageContent): Promise<MessageSummary> {
  if (content.sizeOctets > wholeOctets) return await summarizeStream(content.stream())
  return summarize(await content.read(0, content.sizeOctets))
}
