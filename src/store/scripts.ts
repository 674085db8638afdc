/**
 * A user's Sieve scripts, kept in the account's own log: so they are as durable as the mail, seen at once by every process and machine, and go along when
 * the account is moved, renamed, verified or archived. A name is a key there and never a path. At most one script is active: the one that delivery runs.
 * docs/decisions/0370-where-scripts-are-kept.md
 */

import { StoreError } from '../base/errors.ts'
import type { Account } from './types.ts'

export interface ScriptEntry {
  readonly name: string
  /** Of its UTF-8. */
  readonly octets: number
  readonly isActive: boolean
}

export interface Script {
  readonly name: string
  /** As it was put. */
  readonly text: string
}

export interface ScriptLimits {
  /** Scripts of a user. MS-03 */
  readonly scripts: number
  /** Octets of a script. MS-02 */
  readonly octets: number
}

/** All names as `scriptName` makes them. All throw StoreError. */
export interface Scripts {
  /** Sorted by name. */
  list(): Promise<readonly ScriptEntry[]>
  /** Throws not-found. */
  get(name: string): Promise<string>
  /** The one that delivery runs. MS-05 */
  findActive(): Promise<Script | undefined>
  /** Whether `put` would take a script of this size. Throws limit (too many) and too-big. */
  checkRoom(name: string, octets: number, limits: ScriptLimits): Promise<void>
  /** Makes it or replaces it; an active one stays so. Throws limit (too many) and too-big. */
  put(name: string, text: string, limits: ScriptLimits): Promise<void>
  /** Instead of the one that was; undefined: none from now on. Throws not-found. */
  activate(name: string | undefined): Promise<void>
  /** Throws not-found, and in-use for the active one. */
  remove(name: string): Promise<void>
  /** An active one stays so. Throws not-found, already-exists. */
  rename(from: string, to: string): Promise<void>
  /** Names of those that were adopted from `source`, whatever became of them here. */
  adopted(source: string): Promise<ReadonlySet<string>>
  /**
   * Takes over scripts of another server in one change. Each comes once: what the user makes of it here stays, and so does one of the same name
   * that is here already. `active` becomes the active one when it comes now and none is active.
   */
  adopt(source: string, scripts: readonly Script[], active: string | undefined, limits: ScriptLimits): Promise<Adopted>
}

export interface Adopted {
  readonly added: readonly string[]
  /** Another script of this name is here. */
  readonly taken: readonly string[]
  /** Beyond the limits. */
  readonly refused: readonly { readonly name: string; readonly error: StoreError }[]
  readonly isActivated: boolean
  /** Behind it. */
  readonly scripts: number
  readonly active: string | undefined
}

const prefix = 'sieve-'
const activeKey = `${prefix}active`
const scriptPrefix = `${prefix}script `
const adoptedPrefix = `${prefix}adopted `
const maxNameOctets = 512
/** Of an account, all scripts together, whatever the limits of one are: they are kept in memory with the rest of its log. */
const maxAccountOctets = 4_194_304

/**
 * The name in its one spelling, RFC 5804 §1.6: normalised as RFC 5198 §2 wants. Throws StoreError invalid for what is no name, or a too long one.
 * long.
 */
export function scriptName(name: string): string {
  const normal = name.normalize('NFC')
  if (normal === '') throw new StoreError('invalid', 'The name of a script is not empty')
  if (!normal.isWellFormed() || /[\p{Cc}\u2028\u2029]/u.test(normal))
    throw new StoreError('invalid', 'The name of a script has no control characters or line separators')
  if (Buffer.byteLength(normal) > maxNameOctets)
    throw new StoreError('invalid', `The name of a script has at most ${maxNameOctets} octets of UTF-8`)
  return normal
}

/** For as long as the account is used. */
export function scriptsOf(account: Account): Scripts {
  const read = async () => kept(await account.entries(prefix))
  return {
    async list() {
      const { scripts, active } = await read()
      const entry = ([name, text]: readonly [string, string]) => ({
        name,
        octets: Buffer.byteLength(text),
        isActive: name === active,
      })
      return Array.from(scripts, entry).sort((a, b) => (a.name < b.name ? -1 : 1))
    },
    async get(name) {
      const { scripts } = await read()
      return present(scripts, scriptName(name))
    },
    async findActive() {
      const { scripts, active } = await read()
      const text = active === undefined ? undefined : scripts.get(active)
      return active === undefined || text === undefined ? undefined : { name: active, text }
    },
    async checkRoom(name, octets, limits) {
      checkRoom(await read(), scriptName(name), octets, limits)
    },
    async put(name, text, limits) {
      const normal = scriptName(name)
      await account.change((values) => {
        checkRoom(kept(values), normal, Buffer.byteLength(text), limits)
        return { [scriptPrefix + normal]: text }
      })
    },
    async activate(name) {
      const normal = name === undefined ? undefined : scriptName(name)
      await account.change((values) => {
        if (normal !== undefined) present(kept(values).scripts, normal)
        return { [activeKey]: normal }
      })
    },
    async remove(name) {
      const normal = scriptName(name)
      await account.change((values) => {
        const { scripts, active } = kept(values)
        present(scripts, normal)
        if (active === normal) throw new StoreError('in-use', 'The script is active: make another one active, or none')
        return { [scriptPrefix + normal]: undefined }
      })
    },
    async rename(from, to) {
      const [source, target] = [scriptName(from), scriptName(to)]
      await account.change((values) => {
        const { scripts, active } = kept(values)
        const text = present(scripts, source)
        if (scripts.has(target)) throw new StoreError('already-exists', 'There is a script of the new name')
        return {
          [scriptPrefix + source]: undefined,
          [scriptPrefix + target]: text,
          ...(active === source ? { [activeKey]: target } : {}),
        }
      })
    },
    async adopted(source) {
      return adoptedFrom(source, await account.entries(prefix))
    },
    async adopt(source, scripts, active, limits) {
      let done: Adopted | undefined
      await account.change((values) => {
        const plan = adoption(values, source, scripts, active, limits)
        done = plan.adopted
        return plan.change
      })
      return done!
    },
  }
}

interface Kept {
  readonly scripts: ReadonlyMap<string, string>
  readonly active: string | undefined
}

function kept(values: ReadonlyMap<string, unknown>): Kept {
  const scripts = new Map<string, string>()
  for (const [key, value] of values)
    if (key.startsWith(scriptPrefix)) scripts.set(key.slice(scriptPrefix.length), String(value))
  const active = values.get(activeKey)
  return { scripts, active: typeof active === 'string' ? active : undefined }
}

function adoptedFrom(source: string, values: ReadonlyMap<string, unknown>): ReadonlySet<string> {
  const names = values.get(adoptedPrefix + source)
  return new Set(Array.isArray(names) ? names.map(String) : [])
}

function adoption(
  values: ReadonlyMap<string, unknown>,
  source: string,
  scripts: readonly Script[],
  wanted: string | undefined,
  limits: ScriptLimits,
): { readonly adopted: Adopted; readonly change: Readonly<Record<string, unknown>> } {
  const { scripts: before, active } = kept(values)
  const here = new Map(before)
  const known = new Set(adoptedFrom(source, values))
  const change: Record<string, unknown> = {}
  const [added, taken, refused]: [string[], string[], Adopted['refused'][number][]] = [[], [], []]
  let isActivated = false
  for (const { name, text } of scripts) {
    if (known.has(name)) continue
    const same = here.get(name)
    if (same !== undefined && same !== text) {
      taken.push(name)
      continue
    }
    try {
      checkRoom({ scripts: here, active }, name, Buffer.byteLength(text), limits)
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      refused.push({ name, error })
      continue
    }
    here.set(name, text)
    known.add(name)
    added.push(name)
    change[scriptPrefix + name] = text
    isActivated ||= name === wanted && active === undefined
  }
  if (added.length > 0) change[adoptedPrefix + source] = [...known]
  if (isActivated) change[activeKey] = wanted
  const adopted = { added, taken, refused, isActivated, scripts: here.size, active: isActivated ? wanted : active }
  return { adopted, change }
}

function present(scripts: ReadonlyMap<string, string>, name: string): string {
  const text = scripts.get(name)
  if (text === undefined) throw new StoreError('not-found', 'There is no script of this name')
  return text
}

function checkRoom({ scripts }: Kept, name: string, octets: number, limits: ScriptLimits): void {
  if (octets > limits.octets) throw new StoreError('too-big', `A script has at most ${limits.octets} octets here`)
  if (!scripts.has(name) && scripts.size >= limits.scripts)
    throw new StoreError('limit', `A user keeps at most ${limits.scripts} scripts here`)
  let total = octets
  for (const [other, text] of scripts) if (other !== name) total += Buffer.byteLength(text)
  if (total > maxAccountOctets)
    throw new StoreError('too-big', `The scripts of a user have at most ${maxAccountOctets} octets together`)
}
