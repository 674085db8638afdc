/**
 * What was learned of backend hosts, kept over restarts: a JSON file for each host in a directory that all nodes of a store share.
 * docs/decisions/0163-what-is-learned-of-hosts.md. A file has no user, no reply and no credential in it: names of known properties with plain values.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#src/base/clock.ts'
import { isJsonObject } from '#src/base/json-record.ts'
import type { Log } from '#src/base/log.ts'
import { BackendProfile, type BackendProfiles, isLearned, type Learned } from './profile.ts'

const daySeconds = 86_400
/** A file that was not used for so long goes, and all that is in it. */
const longestUnusedDays = 365
/** What is still the same by then may have changed: it is learned again. Not the protection that logins had: then one could be had with less. */
const longestSameDays = 30
/** When a host was used is written so often. */
const usedSeconds = daySeconds
/** Files that are kept; beyond that, those that were used longest ago go. */
const maxFiles = 10_000
const maxOctets = 16_384
const flushMs = 1_000

/** A value, and since when (seconds since 1970) it has been the same. */
type Dated = Readonly<Record<string, { readonly value: unknown; readonly at: number }>>

interface Kept {
  readonly profile: BackendProfile
  /** As in the file. */
  dated: Dated
  /** Seconds since 1970. */
  usedAt: number
}

export class ProfileFiles implements AsyncDisposable {
  readonly #directory: string
  readonly #clock: Clock
  readonly #log: Log
  readonly #kept = new Map<string, Kept>()
  readonly #touched = new Set<string>()
  readonly #closing = new AbortController()
  readonly #node = randomUUID()
  #writing: Promise<void> | undefined

  private constructor(directory: string, clock: Clock, log: Log) {
    this.#directory = directory
    this.#clock = clock
    this.#log = log
  }

  /** Reads what there is and gives it to `profiles`. A file that can't be read is as none; nothing is thrown. */
  static async open(directory: string, profiles: BackendProfiles, clock: Clock, log: Log): Promise<ProfileFiles> {
    const files = new ProfileFiles(directory, clock, log)
    await files.#load(profiles)
    return files
  }

  async #load(profiles: BackendProfiles): Promise<void> {
    const names = (await readdir(this.#directory).catch(() => [])).filter((name) => name.endsWith('.json'))
    const found: { readonly key: string; readonly dated: Dated; readonly usedAt: number }[] = []
    for (const name of names) {
      const read = await this.#read(keyOf(name))
      if (read !== undefined && now(this.#clock) - read.usedAt < longestUnusedDays * daySeconds)
        found.push({ key: keyOf(name), ...read })
      else await this.#remove(name)
    }
    found.sort((a, b) => b.usedAt - a.usedAt)
    for (const { key } of found.splice(maxFiles)) await this.#remove(nameOf(key))
    for (const { key, dated, usedAt } of found) {
      const profile = new BackendProfile(valuesOf(dated))
      profiles.put(key, profile)
      this.#kept.set(key, { profile, dated, usedAt })
    }
  }

  /** The host was used: what was learned is written within a second or so. */
  touch(key: string, profile: BackendProfile): void {
    const kept = this.#kept.get(key)
    if (kept === undefined) this.#kept.set(key, { profile, dated: {}, usedAt: 0 })
    else if (same(kept.dated, profile.learned) && now(this.#clock) - kept.usedAt < usedSeconds) return
    this.#touched.add(key)
    this.#writing ??= this.#clock
      .sleep(flushMs, this.#closing.signal)
      .catch(() => {})
      .then(() => this.#flush())
      .finally(() => {
        this.#writing = undefined
      })
  }

  async #flush(): Promise<void> {
    for (const key of this.#touched) {
      this.#touched.delete(key)
      const kept = this.#kept.get(key)!
      try {
        await this.#write(key, kept)
      } catch (error) {
        this.#log.log('warning', 'what was learned of a backend host can not be kept', {
          host: key,
          reason: (error as Error).message,
        })
      }
    }
  }

  /** Another node may have written meanwhile: what we did not change is as it says. */
  async #write(key: string, kept: Kept): Promise<void> {
    const { learned } = kept.profile
    const theirs = (await this.#read(key))?.dated ?? {}
    const at = now(this.#clock)
    const merged: Record<string, { value: unknown; at: number }> = {}
    for (const name of new Set([...Object.keys(theirs), ...Object.keys(learned)])) {
      const value = learned[name as keyof Learned]
      const isChanged = value !== kept.dated[name]?.value
      const winner = isChanged ? (value === undefined ? undefined : { value, at }) : theirs[name]
      if (winner !== undefined) merged[name] = winner
    }
    // The best protection that anybody had is what later logins ask for.
    if (theirs.protection?.value === 'tls') merged.protection = theirs.protection
    Object.assign(learned, valuesOf(merged))
    kept.dated = merged
    kept.usedAt = at
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    const path = join(this.#directory, nameOf(key))
    // Nodes on several machines may have the same process id.
    const temporary = `${path}.${this.#node}`
    const handle = await open(temporary, 'w', 0o600)
    try {
      await handle.writeFile(JSON.stringify({ host: key, usedAt: at, learned: merged }))
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
  }

  async #read(key: string): Promise<{ readonly dated: Dated; readonly usedAt: number } | undefined> {
    try {
      const octets = await readFile(join(this.#directory, nameOf(key)))
      if (octets.length > maxOctets) throw new Error(`has ${octets.length} octets`)
      const parsed: unknown = JSON.parse(octets.toString('utf8'))
      if (!isJsonObject(parsed) || !isJsonObject(parsed.learned) || typeof parsed.usedAt !== 'number')
        throw new Error('is not what was written')
      return { dated: this.#datedOf(parsed.learned), usedAt: parsed.usedAt }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.#log.log('warning', 'what was learned of a backend host can not be read; it is learned again', {
          host: key,
          reason: (error as Error).message,
        })
      return undefined
    }
  }

  #datedOf(learned: Readonly<Record<string, unknown>>): Dated {
    const dated: Record<string, { value: unknown; at: number }> = {}
    for (const [name, entry] of Object.entries(learned)) {
      if (!isJsonObject(entry) || typeof entry.at !== 'number' || !isLearned(name, entry.value)) continue
      const isSame = name === 'protection' || now(this.#clock) - entry.at < longestSameDays * daySeconds
      if (isSame) dated[name] = { value: entry.value, at: entry.at }
    }
    return dated
  }

  async #remove(name: string): Promise<void> {
    await rm(join(this.#directory, name), { force: true }).catch((error: Error) =>
      this.#log.log('info', 'a file about a backend host can not be removed', { name, reason: error.message }),
    )
  }

  /** Writes what is left to write. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('closed'))
    await this.#writing
    await this.#flush()
  }
}

const now = (clock: Clock): number => Math.floor(clock.now() / 1_000)
const valuesOf = (dated: Dated): Learned =>
  Object.fromEntries(Object.entries(dated).map(([name, { value }]) => [name, value]))
const same = (dated: Dated, learned: Learned): boolean => {
  const names = Object.keys(learned) as (keyof Learned)[]
  const kept = names.filter((name) => learned[name] !== undefined)
  return kept.length === Object.keys(dated).length && kept.every((name) => dated[name]?.value === learned[name])
}
/** Host names come from the configuration, but a file name is built from octets that can't leave the directory. */
const nameOf = (key: string): string => `${encodeURIComponent(key).replaceAll('*', '%2A')}.json`
const keyOf = (name: string): string => {
  try {
    return decodeURIComponent(name.slice(0, -'.json'.length))
  } catch {
    return name
  }
}
