/** A message that has to be whole before it goes on: in memory while it is small, in a file without a name from then on. */
import { isAscii } from 'node:buffer'
import { createHash } from 'node:crypto'
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { headerLimit } from '../header.ts'

const memoryOctets = 131_072
const chunkOctets = 65_536

/** Readable as often as wanted until it is released. */
export interface HeldMessage {
  readonly sizeOctets: number
  /** SHA-256, base64url, as the store has it. */
  readonly digest: string
  /** The beginning, with at most `headerLimit` octets. */
  readonly start: Buffer
  /** There are octets above 127. */
  readonly isEightBit: boolean
  chunks(): AsyncIterable<Buffer>
  release(): Promise<void>
}

/** Takes the octets of one message. */
export class Holding {
  readonly #hash = createHash('sha256')
  #chunks: Buffer[] = []
  #inMemory = 0
  #sizeOctets = 0
  #isEightBit = false
  #start: Buffer | undefined
  #file: FileHandle | undefined

  get sizeOctets(): number {
    return this.#sizeOctets
  }

  write(chunk: Buffer): void | Promise<void> {
    this.#hash.update(chunk)
    this.#sizeOctets += chunk.length
    this.#isEightBit ||= !isAscii(chunk)
    this.#chunks.push(chunk)
    this.#inMemory += chunk.length
    if (this.#inMemory >= memoryOctets) return this.#pour()
  }

  async #pour(): Promise<void> {
    this.#file ??= await namelessFile()
    const octets = Buffer.concat(this.#chunks)
    this.#start ??= octets.subarray(0, headerLimit)
    this.#chunks = []
    this.#inMemory = 0
    for (let at = 0; at < octets.length; ) at += (await this.#file.write(octets, at)).bytesWritten
  }

  /** Nothing more is written. */
  async finish(): Promise<HeldMessage> {
    if (this.#file !== undefined) await this.#pour()
    const file = this.#file
    const octets = Buffer.concat(this.#chunks)
    return {
      sizeOctets: this.#sizeOctets,
      digest: this.#hash.digest('base64url'),
      start: this.#start ?? octets.subarray(0, headerLimit),
      isEightBit: this.#isEightBit,
      chunks: () => (file === undefined ? once(octets) : chunksOf(file)),
      release: async () => file?.close(),
    }
  }

  /** The message is not wanted. */
  async discard(): Promise<void> {
    this.#chunks = []
    await this.#file?.close()
  }
}

async function* once(octets: Buffer): AsyncIterable<Buffer> {
  yield octets
}

async function* chunksOf(file: FileHandle): AsyncIterable<Buffer> {
  for (let at = 0; ; ) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(chunkOctets), 0, chunkOctets, at)
    if (bytesRead === 0) return
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

/** Its octets go with the last descriptor, however the process ends. */
async function namelessFile(): Promise<FileHandle> {
  const directory = await mkdtemp(join(tmpdir(), 'wherry-message-'))
  try {
    return await open(join(directory, 'message'), 'wx+', 0o600)
  } finally {
    await rm(directory, { recursive: true })
  }
}
