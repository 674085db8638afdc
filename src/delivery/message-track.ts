/**
 * `msgtrack_db`: what is remembered of messages for a while. A folder, shared by all processes and machines that name it:
 *
 *     <day on which everything in it has ended>.<name of the process that writes it>
 *         <crc32> <digest> <at> <until> <what is shown of it, JSON>
 *
 * A process adds lines to files of its own alone, so that nobody waits for anybody, and reads what others add. A file goes on the day after the one
 * in its name. docs/decisions/0366-msgtrack-db.md
 */
import { createHash, randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rename, unlink } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { DigestTable } from './digest-table.ts'
import type { MessageTrack, Shown, Tracked, TrackedKind } from './types.ts'

export interface MessageTrackParts {
  readonly path: string
  readonly clock: Clock
  readonly log: Log
  /** For which a record counts unless it says otherwise; LMTP-06. */
  readonly historySeconds: () => number
}

/** What others wrote is looked for so often at most. */
const lookEveryMs = 1_000
/** What has ended is looked for so often. */
const tidyEveryMs = 3_600_000
/** Read at once: a ms or two. */
const chunkOctets = 262_144
const daySeconds = 86_400
/** A script or an option may name any number. */
const longestSeconds = 366 * daySeconds
/** What counts for longer shares the file of a month: each file is one more that is held open and looked at. */
const dailySeconds = 8 * daySeconds

interface Line {
  readonly digest: Buffer
  readonly at: number
  readonly until: number
  readonly shown: (Shown & { readonly kind: TrackedKind; readonly owner: string }) | undefined
}

export function openMessageTrack(parts: MessageTrackParts): MessageTrack {
  return new TrackFolder(parts)
}

class TrackFolder implements MessageTrack {
  private readonly parts: MessageTrackParts
  private readonly table = new DigestTable()
  private readonly ownName = randomBytes(8).toString('hex')
  /** Files of this process by day, open for more. */
  private readonly writing = new Map<string, FileHandle>()
  /** How far the files of others were read. */
  private readonly readTo = new Map<string, number>()
  /** Files with a line that can't be read. */
  private readonly damaged = new Set<string>()
  private made: Promise<void> | undefined
  private looked: { readonly done: Promise<void>; readonly atMs: number } | undefined
  private tidiedAtMs = Number.NEGATIVE_INFINITY
  private waiting: { readonly line: Line; resolve(): void; reject(error: unknown): void }[] = []
  private flushing: Promise<void> | undefined

  constructor(parts: MessageTrackParts) {
    this.parts = parts
  }

  async find(kind: TrackedKind, owner: string, key: string): Promise<number | undefined> {
    await this.look()
    const found = this.table.get(digestOf(kind, owner, key))
    return found !== undefined && found.until > this.now() ? found.at : undefined
  }

  async add(tracked: readonly Tracked[]): Promise<void> {
    const at = this.now()
    const lines = tracked.map(({ kind, owner, key, seconds = this.parts.historySeconds(), shown }): Line => {
      const digest = digestOf(kind, owner, key)
      return {
        digest,
        at,
        until: at + Math.min(seconds, longestSeconds),
        shown: shown === undefined ? undefined : { kind, owner, at, text: shown },
      }
    })
    const written = lines.map(
      (line) => new Promise<void>((resolve, reject) => this.waiting.push({ line, resolve, reject })),
    )
    this.flushing ??= this.flush()
    await Promise.all(written)
  }

  async *list(kind: TrackedKind, owner: string): AsyncIterable<Shown> {
    await this.make()
    const newest = new Map<string, Shown>()
    for (const name of await readdir(this.parts.path))
      for await (const { shown, until } of this.read(name, 0))
        if (shown?.kind === kind && shown.owner === owner && until > this.now()) newest.set(shown.text, shown)
    for (const { at, text } of newest.values()) yield { at, text }
  }

  async close(): Promise<void> {
    await this.flushing
    for (const file of this.writing.values()) await file.close()
    this.writing.clear()
  }

  private now(): number {
    return Math.floor(this.parts.clock.now() / 1_000)
  }

  /** All that wait go together; those that come meanwhile go next. */
  private async flush(): Promise<void> {
    while (this.waiting.length > 0) {
      const batch = this.waiting.splice(0)
      const days = new Map<string, typeof batch>()
      for (const entry of batch) {
        const day = lastDay(entry.line)
        const same = days.get(day)
        if (same === undefined) days.set(day, [entry])
        else same.push(entry)
      }
      await Promise.all(Array.from(days, ([day, entries]) => this.write(day, entries)))
    }
    this.flushing = undefined
  }

  private async write(day: string, entries: typeof this.waiting): Promise<void> {
    try {
      const file = this.writing.get(day) ?? (await this.begin(day))
      await file.appendFile(entries.map(({ line }) => textOf(line)).join(''))
      await file.datasync()
      const now = this.now()
      for (const { line, resolve } of entries) {
        this.table.set(line.digest, line.at, line.until, now)
        resolve()
      }
    } catch (error) {
      // Its last line may be a part of one: nothing is added behind it.
      await this.writing
        .get(day)
        ?.close()
        .catch(() => {})
      this.writing.delete(day)
      for (const { reject } of entries) reject(error)
    }
  }

  private async begin(day: string): Promise<FileHandle> {
    await this.make()
    const { path } = this.parts
    const file = await open(`${path}/${day}.${this.ownName}${randomBytes(4).toString('hex')}`, 'ax', 0o600)
    await syncFolder(path)
    this.writing.set(day, file)
    return file
  }

  private async make(): Promise<void> {
    this.made ??= this.makeFolder()
    try {
      await this.made
    } catch (error) {
      this.made = undefined
      throw error
    }
  }

  private async makeFolder(): Promise<void> {
    const { path, log } = this.parts
    try {
      await mkdir(path, { recursive: true, mode: 0o700 })
    } catch (error) {
      if (!isCode(error, 'EEXIST') && !isCode(error, 'ENOTDIR')) throw error
      const aside = `${path}.damaged-${this.parts.clock.now()}`
      await rename(path, aside)
      log.log('err', 'msgtrack_db is no folder of ours; it is kept aside and begun anew', { path, aside })
      await mkdir(path, { recursive: true, mode: 0o700 })
    }
  }

  /** Reads what others wrote. */
  private async look(): Promise<void> {
    const nowMs = this.parts.clock.monotonic()
    if (this.looked === undefined || nowMs - this.looked.atMs >= lookEveryMs) {
      const done = this.readAll()
      this.looked = { done, atMs: nowMs }
      done.catch(() => {
        this.looked = undefined
      })
    }
    await this.looked.done
  }

  private async readAll(): Promise<void> {
    await this.make()
    const names = await readdir(this.parts.path)
    for (const name of names)
      if (!this.isOwn(name))
        for await (const { digest, at, until } of this.read(name, this.readTo.get(name) ?? 0)) {
          const known = this.table.get(digest)
          if (known === undefined || known.at <= at) this.table.set(digest, at, until, this.now())
        }
    await this.tidy(names)
  }

  private isOwn(name: string): boolean {
    return name.split('.')[1]?.startsWith(this.ownName) === true
  }

  private async tidy(names: readonly string[]): Promise<void> {
    const nowMs = this.parts.clock.monotonic()
    if (nowMs - this.tidiedAtMs < tidyEveryMs) return
    this.tidiedAtMs = nowMs
    // A day behind: clocks of machines differ.
    const ended = new Date((this.now() - 2 * daySeconds) * 1_000).toISOString().slice(0, 10)
    for (const name of names) {
      if (!/^\d{4}-\d\d-\d\d\./.test(name) || name.slice(0, 10) > ended) continue
      this.readTo.delete(name)
      await this.writing.get(name.slice(0, 10))?.close()
      this.writing.delete(name.slice(0, 10))
      await unlink(`${this.parts.path}/${name}`).catch((error: unknown) => {
        if (!isCode(error, 'ENOENT')) throw error
      })
    }
  }

  /** The whole lines from an offset on, those that can be read. Notes how far that was, for files of others. */
  private async *read(name: string, from: number): AsyncIterable<Line> {
    let file: FileHandle
    try {
      file = await open(`${this.parts.path}/${name}`)
    } catch (error) {
      if (isCode(error, 'ENOENT')) return
      throw error
    }
    try {
      let at = from
      let rest = ''
      for (;;) {
        const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(chunkOctets), 0, chunkOctets, at)
        if (bytesRead === 0) break
        at += bytesRead
        const lines = (rest + buffer.toString('latin1', 0, bytesRead)).split('\n')
        rest = lines.pop()!
        for (const text of lines) {
          const line = parse(text)
          if (line === undefined) this.complain(name)
          else yield line
        }
      }
      this.readTo.set(name, at - rest.length)
    } finally {
      await file.close()
    }
  }

  private complain(name: string): void {
    if (this.damaged.has(name)) return
    this.damaged.add(name)
    this.parts.log.log('err', 'msgtrack_db is damaged: what can not be read of it is left out', {
      file: `${this.parts.path}/${name}`,
    })
  }
}

/** On which all of the file has ended that a line belongs to. */
function lastDay({ at, until }: Line): string {
  const day = new Date(until * 1_000)
  if (until - at > dailySeconds) day.setUTCMonth(day.getUTCMonth() + 1, 1)
  return day.toISOString().slice(0, 10)
}

const digestOf = (kind: TrackedKind, owner: string, key: string): Buffer =>
  createHash('sha256').update(`${kind}\0${owner}\0${key}`).digest().subarray(0, 15)

function textOf({ digest, at, until, shown }: Line): string {
  // In ASCII, whatever is shown: pieces of a file are read without caring for characters.
  const told = JSON.stringify(shown ?? null).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  const text = `${digest.toString('base64url')} ${at} ${until} ${told}`
  return `${crc32(text).toString(16).padStart(8, '0')} ${text}\n`
}

function parse(line: string): Line | undefined {
  const match = /^([0-9a-f]{8}) (([A-Za-z0-9_-]{20}) (\d{1,10}) (\d{1,10}) (.+))$/.exec(line)
  if (match === null) return undefined
  const [, sum, text, digest, at, until, told] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ]
  if (Number.parseInt(sum, 16) !== crc32(text)) return undefined
  // Its sum is right, so it has the shape that `textOf` gave it.
  const shown = told === 'null' ? undefined : JSON.parse(told)
  return { digest: Buffer.from(digest, 'base64url'), at: Number(at), until: Number(until), shown }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

const isCode = (error: unknown, code: string) => error instanceof Error && 'code' in error && error.code === code
