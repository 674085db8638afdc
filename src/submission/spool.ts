/**
 * The directory of messages that wait for the submission server: one file each, whose first line says who sends it to whom, and whose name says when it is
 * due. A process claims a message by renaming its file to a later time, which one process alone can do; it renews the claim while it works, and a claim of
 * a process that died lapses by itself. So any number of processes, also of several machines on one file system, share a directory without locks.
 * docs/decisions/0350-the-outgoing-queue.md
 */
import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { readJsonRecord } from '../base/json-record.ts'

/** What made it. `report`: to the sender of a redirected message that could not be delivered. */
export const outgoingKinds = ['redirect', 'vacation', 'reject', 'notify', 'report'] as const
export type OutgoingKind = (typeof outgoingKinds)[number]

export interface Envelope {
  readonly kind: OutgoingKind
  /** MAIL FROM; empty for the null reverse-path. */
  readonly sender: string
  readonly recipient: string
  /** User id of the one whose script, or whose mail, it is. */
  readonly owner: string
}

export interface Outgoing extends Envelope {
  /** A message with CRLF. Read once. */
  readonly octets: Buffer | AsyncIterable<Uint8Array>
}

/** A message that can be read, also when its file gets another name meanwhile. */
export interface OpenEntry extends AsyncDisposable {
  readonly entry: Entry
  chunks(): AsyncIterable<Buffer>
}

/** A message in the directory, as it was when it was looked at. */
export interface Waiting {
  readonly id: string
  /** Of the file, for `claim`. */
  readonly name: string
  /** Not before: milliseconds since 1970. */
  readonly dueMs: number
  /** How often the server was asked to take it, and did not. */
  readonly attempts: number
}

export interface Entry extends Waiting, Envelope {
  /** Milliseconds since 1970. */
  readonly createdMs: number
  readonly sizeOctets: number
  readonly isEightBit: boolean
  /** What was said when it was not taken. */
  readonly lastReply: string | undefined
}

/** For as long nobody else takes it. Renewed at a third of it. */
export const claimMs = 90_000
/** A first line is short: two addresses and a user id. */
const firstLineOctets = 8_192
/** Of a process that died while it wrote. */
const abandonedMs = 3_600_000
const namePattern = /^(\d{15})\.(\d{1,6})\.([\w-]{10,40})$/

const nameOf = (dueMs: number, attempts: number, id: string): string =>
  `${Math.max(0, Math.floor(dueMs)).toString().padStart(15, '0')}.${attempts}.${id}`

function waitingOf(name: string): Waiting | undefined {
  const match = namePattern.exec(name)
  return match === null ? undefined : { name, id: match[3]!, dueMs: Number(match[1]), attempts: Number(match[2]) }
}

export class Spool {
  readonly directory: string
  readonly #clock: Clock
  #lastSync: Promise<void> = Promise.resolve()
  #nextSync: Promise<void> | undefined

  /** A missing directory is made by the first message. */
  constructor(directory: string, clock: Clock) {
    this.directory = directory
    this.#clock = clock
  }

  /** Resolves when all are durable. Throws StoreError unavailable; what nobody has begun to send is taken back then. */
  async add(messages: readonly Outgoing[]): Promise<readonly Waiting[]> {
    if (messages.length === 0) return []
    const written: Waiting[] = []
    try {
      await this.#make()
      for (const message of messages) {
        const dueMs = this.#clock.now()
        const id = `${dueMs.toString(36)}-${randomBytes(9).toString('base64url')}`
        written.push({ id, name: nameOf(dueMs, 0, id), dueMs, attempts: 0 })
        await this.#write(`.${id}`, message, dueMs)
      }
      for (const { id, name } of written) await rename(this.#path(`.${id}`), this.#path(name))
      await this.#sync()
    } catch (cause) {
      for (const { id, name } of written)
        for (const each of [`.${id}`, name]) await unlink(this.#path(each)).catch(ignoreMissing)
      throw unavailable(cause)
    }
    return written
  }

  /** In the order in which they are due. Throws StoreError unavailable. */
  async waiting(): Promise<readonly Waiting[]> {
    const names = (await readdir(this.directory).catch(ignoreMissing)) ?? []
    return names.flatMap((name) => waitingOf(name) ?? []).sort((a, b) => a.dueMs - b.dueMs)
  }

  /** At most so many of those that are due, in no order: a directory may hold hundreds of thousands. Throws StoreError unavailable. */
  async due(most: number): Promise<readonly Waiting[]> {
    const now = nameOf(this.#clock.now() + 1, 0, '')
    const found: Waiting[] = []
    for (const name of (await readdir(this.directory).catch(ignoreMissing)) ?? []) {
      const waiting = name < now ? waitingOf(name) : undefined
      if (waiting !== undefined) found.push(waiting)
      if (found.length === most) break
    }
    return found
  }

  /** Undefined: it is gone, or another process has it. Throws StoreError; damaged when the file is none of ours. */
  async open(waiting: Waiting): Promise<OpenEntry | undefined> {
    const handle = await open(this.#path(waiting.name)).catch(ignoreMissing)
    if (handle === undefined) return undefined
    try {
      const { size } = await handle.stat()
      const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(firstLineOctets), position: 0 })
      const start = buffer.subarray(0, bytesRead).indexOf('\n') + 1
      const envelope = readFirstLine(buffer.subarray(0, Math.max(0, start - 1)), waiting.name)
      const lastReply = await this.#lastReply(waiting.id)
      return {
        entry: { ...waiting, ...envelope, sizeOctets: size - start, lastReply },
        chunks: () => handle.createReadStream({ start, autoClose: false }),
        [Symbol.asyncDispose]: () => handle.close(),
      }
    } catch (error) {
      await handle.close()
      throw unavailable(error)
    }
  }

  /** Of several processes, one gets it; undefined for the others. */
  async claim(waiting: Waiting): Promise<Waiting | undefined> {
    return this.#move(waiting, this.#clock.now() + claimMs, waiting.attempts)
  }

  /** Undefined: the claim had lapsed, and another process has it. */
  async postpone(
    entry: Waiting,
    dueMs: number,
    failure?: { readonly reply: string; readonly counts: boolean },
  ): Promise<Waiting | undefined> {
    if (failure !== undefined)
      await writeFile(this.#path(`${entry.id}.reply`), failure.reply, { mode: 0o600 }).catch(ignoreMissing)
    return this.#move(entry, dueMs, entry.attempts + (failure?.counts === true ? 1 : 0))
  }

  /** Resolves when it is durable. False: somebody else removed or claimed it. */
  async remove({ name, id }: Waiting): Promise<boolean> {
    try {
      await unlink(this.#path(name))
    } catch (error) {
      ignoreMissing(error)
      return false
    }
    await unlink(this.#path(`${id}.reply`)).catch(ignoreMissing)
    await this.#sync().catch((error) => {
      throw unavailable(error)
    })
    return true
  }

  /** Takes away what processes that died left half written. */
  async sweep(): Promise<void> {
    const names = (await readdir(this.directory).catch(ignoreMissing)) ?? []
    for (const name of names.filter((each) => each.startsWith('.'))) {
      const entry = await stat(this.#path(name)).catch(ignoreMissing)
      if (entry !== undefined && this.#clock.now() - entry.mtimeMs > abandonedMs)
        await unlink(this.#path(name)).catch(ignoreMissing)
    }
  }

  async #move(waiting: Waiting, dueMs: number, attempts: number): Promise<Waiting | undefined> {
    const name = nameOf(dueMs, attempts, waiting.id)
    try {
      await rename(this.#path(waiting.name), this.#path(name))
    } catch (error) {
      return ignoreMissing(error)
    }
    return { ...waiting, name, dueMs, attempts }
  }

  async #write(name: string, { octets, ...envelope }: Outgoing, createdMs: number): Promise<void> {
    const handle = await open(this.#path(name), 'wx', 0o600)
    try {
      // Of a message that comes in pieces it is known only behind the last one: the line keeps its length.
      const lineWith = (isEightBit: boolean) =>
        Buffer.from(`${JSON.stringify({ version: 1, ...envelope, createdMs, eightBit: isEightBit ? 1 : 0 })}\n`)
      let isEightBit = false
      const line = lineWith(false)
      if (line.length > firstLineOctets) throw new Error('the addresses of a message to be sent are too long')
      await handle.writeFile(line)
      const pieces = Buffer.isBuffer(octets) ? [octets] : octets
      for await (const piece of pieces) {
        isEightBit ||= piece.some((octet) => octet > 127)
        await handle.writeFile(piece)
      }
      if (isEightBit) await handle.write(lineWith(true), 0, line.length, 0)
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  async #lastReply(id: string): Promise<string | undefined> {
    return (await readFile(this.#path(`${id}.reply`), 'utf8').catch(ignoreMissing))?.slice(0, 1_000)
  }

  async #make(): Promise<void> {
    if ((await stat(this.directory).catch(ignoreMissing)) !== undefined) return
    await mkdir(this.directory, { recursive: true, mode: 0o700 })
    await syncDirectory(dirname(this.directory))
  }

  /** All who wait while one is under way share the next. */
  #sync(): Promise<void> {
    if (this.#nextSync === undefined) {
      const begin = () => {
        this.#nextSync = undefined
        this.#lastSync = syncDirectory(this.directory)
        return this.#lastSync
      }
      this.#nextSync = this.#lastSync.then(begin, begin)
    }
    return this.#nextSync
  }

  #path(name: string): string {
    return join(this.directory, name)
  }
}

function readFirstLine(
  line: Buffer,
  name: string,
): Envelope & { readonly createdMs: number; readonly isEightBit: boolean } {
  const damaged = (what: string) => new StoreError('damaged', `the outgoing message ${name} ${what}`)
  const { kind, sender, recipient, owner, createdMs, eightBit } = readJsonRecord(line, { version: 1, damaged })
  const known = outgoingKinds.find((each) => each === kind)
  if (
    known === undefined ||
    typeof sender !== 'string' ||
    typeof recipient !== 'string' ||
    typeof owner !== 'string' ||
    typeof createdMs !== 'number'
  )
    throw damaged('has a first line that is not ours')
  return { kind: known, sender, recipient, owner, createdMs, isEightBit: eightBit === 1 }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const ignoreMissing = (error: unknown): undefined => {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw unavailable(error)
  return undefined
}

const unavailable = (cause: unknown): StoreError =>
  cause instanceof StoreError
    ? cause
    : new StoreError('unavailable', `mail to be sent can't be queued: ${(cause as Error).message}`, { cause })
