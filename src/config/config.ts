import type { Finding } from './finding.ts'
import { type OptionName, type OptionValue, type OptionValues, optionNames, optionOf } from './options.ts'
import { SealedPassword } from './servpass/sealed-password.ts'

/** The options in force: validated, defaults filled in. Immutable; a reload makes a new one. */
export interface Config {
  /** Where it was read from; undefined for built-in defaults. */
  readonly file: string | undefined
  /** The typed value of an option; its default when the file does not set it. The first one of a repeatable option. */
  get<N extends OptionName>(name: N): OptionValue<N>
  /** Every value of a repeatable option, in the order of the file; its default, if it has one, when the file does not set it. */
  all<N extends OptionName>(name: N): readonly NonNullable<OptionValue<N>>[]
  /** Whether the file sets it. */
  isSet(name: OptionName): boolean
  /** Where it is set (first), for messages; undefined when it is not. */
  whereSet(name: OptionName): Place | undefined
}

/** Where a value stands. */
export interface Place {
  /** The file, or the DN of an entry in the directory. */
  readonly source: string | undefined
  readonly line?: number | undefined
  /** Of the entry. */
  readonly attribute?: string | undefined
}

/** A configuration out of values that were validated, and the places that they stand in. */
export const makeConfig = (
  file: string | undefined,
  set: ReadonlyMap<OptionName, readonly unknown[]>,
  places: ReadonlyMap<OptionName, Place> = new Map(),
): Config => {
  const all = (name: OptionName): readonly unknown[] => {
    const given = set.get(name)
    if (given !== undefined) return given.map((value) => (value instanceof SealedPassword ? value.open() : value))
    const fallback = optionOf(name).default
    return fallback === undefined ? [] : [fallback]
  }
  return {
    file,
    get: <N extends OptionName>(name: N) => all(name)[0] as OptionValue<N>,
    all: <N extends OptionName>(name: N) => all(name) as readonly NonNullable<OptionValue<N>>[],
    isSet: (name) => set.has(name),
    whereSet: (name) => places.get(name),
  }
}

/** What is to say about an option, at the place that sets it. */
export const findingAt = (
  config: Config,
  severity: Finding['severity'],
  option: OptionName,
  message: string,
): Finding => {
  const { source = config.file, line, attribute } = config.whereSet(option) ?? {}
  return { severity, file: source, line, option, ...(attribute !== undefined && { attribute }), message }
}

/** `ms.conf:12: ` for a message about options that are known by name in it: the place of the first that is set; empty for defaults. */
export const placeOf = (config: Config, ...options: readonly OptionName[]): string => {
  const place = options.map((option) => config.whereSet(option)).find((place) => place !== undefined)
  if (place?.source === undefined) return ''
  return place.line === undefined ? `${place.source}: ` : `${place.source}:${place.line}: `
}

/** Overrides of `configOf`; a repeatable option may be given all its values in an array. */
export type ConfigOverrides = {
  readonly [N in OptionName]?: OptionValues[N] | readonly NonNullable<OptionValues[N]>[]
}

/**
 * A configuration out of typed values, without a file: for tests, and for programs that embed the services.
 * Values are taken as they are; throws TypeError for a name that is no option.
 */
export const configOf = (overrides: ConfigOverrides = {}): Config => {
  const set = new Map<OptionName, readonly unknown[]>()
  for (const [key, value] of Object.entries(overrides)) {
    const name = optionNames.find((candidate) => candidate === key)
    if (name === undefined) throw new TypeError(`${key} is not an option`)
    if (value === undefined) continue
    set.set(name, optionOf(name).repeatable && Array.isArray(value) ? value : [value])
  }
  return makeConfig(undefined, set)
}

/** What differs between two configurations, for a reload. */
export interface ConfigChanges {
  readonly changed: readonly OptionName[]
  /** Those of them that a running service takes in only when it starts again. */
  readonly restart: readonly OptionName[]
}

/** Options that have other values in `after` than in `before`, whether set or by default. */
export const diffConfig = (before: Config, after: Config): ConfigChanges => {
  const changed = optionNames.filter((name) => JSON.stringify(before.all(name)) !== JSON.stringify(after.all(name)))
  return { changed, restart: changed.filter((name) => optionOf(name).reload === 'restart') }
}
