/**
 * A configuration while it is read: from the file first, then from the directory, whose values replace those of the file (LDAP-01). What is wrong is gathered, so
 * that all of it is told in one go.
 */
import { dirname } from 'node:path'
import { type Config, makeConfig, type Place } from './config.ts'
import type { Finding } from './finding.ts'
import { Invalid, type Option } from './option.ts'
import { type OptionName, optionOf } from './options.ts'
import { checkRelations } from './relations.ts'
import type { XmlElement } from './xml.ts'

/** A value of an option, as an element of ms.conf. */
export interface Setting {
  readonly name: OptionName
  readonly element: XmlElement
  readonly place: Place
}

export interface Outcome {
  /** Undefined when one of the findings is an error. */
  readonly config: Config | undefined
  /** Errors first, then by line. */
  readonly findings: readonly Finding[]
}

export class Draft {
  readonly #file: string | undefined
  readonly #values = new Map<OptionName, readonly unknown[]>()
  readonly #places = new Map<OptionName, Place>()
  readonly #findings: Finding[] = []

  /** `file`: an absolute path. */
  constructor(file: string | undefined) {
    this.#file = file
  }

  /** Something that is wrong beside the values of options. */
  note(...findings: readonly Finding[]): void {
    this.#findings.push(...findings)
  }

  /** Takes what one source sets, in the place of what another one set before. */
  take(settings: Iterable<Setting>): void {
    const own = new Map<OptionName, unknown[]>()
    for (const setting of settings) {
      const { name, place } = setting
      const values = own.get(name)
      if (values !== undefined && !optionOf(name).repeatable) {
        this.#report('error', setting, setTwice(this.#places.get(name)))
        continue
      }
      const read = this.#read(setting)
      if (read === undefined) continue
      if (values !== undefined) values.push(read.value)
      else {
        own.set(name, [read.value])
        this.#places.set(name, place)
      }
    }
    for (const [name, values] of own) this.#values.set(name, values)
  }

  /** What was taken so far, whatever was wrong with the rest. */
  get config(): Config {
    return makeConfig(this.#file, this.#values, this.#places)
  }

  /** What was found so far. */
  get findings(): readonly Finding[] {
    return this.#findings
  }

  /** When all is read. */
  finish(): Outcome {
    const { config } = this
    for (const { severity, option, message } of checkRelations(config))
      this.#report(severity, { name: option, place: config.whereSet(option) ?? { source: this.#file } }, message)
    const findings = [...this.#findings].sort((a, b) =>
      a.severity === b.severity ? (a.line ?? 0) - (b.line ?? 0) : a.severity === 'error' ? -1 : 1,
    )
    return { config: findings.some(({ severity }) => severity === 'error') ? undefined : config, findings }
  }

  #read(setting: Setting): { readonly value: unknown } | undefined {
    const { name, element, place } = setting
    const option = optionOf(name)
    try {
      const value = option.read(element, dirname(this.#file ?? '/'))
      if (!isDefault(option, value)) {
        if (option.refused !== undefined) this.#report('error', setting, withoutSupport(option.refused))
        else if (option.later !== undefined) this.#report('warning', setting, withoutEffect(option.later))
      }
      return { value }
    } catch (error) {
      if (!(error instanceof Invalid)) throw error
      const line = place.line === undefined ? undefined : (error.line ?? place.line)
      this.#report('error', { name, place: { ...place, line } }, `${error.message}; valid is ${option.valid}`)
      return undefined
    }
  }

  #report(severity: Finding['severity'], { name, place }: Omit<Setting, 'element'>, message: string): void {
    const { source, line, attribute } = place
    this.#findings.push({
      severity,
      file: source,
      line,
      option: name,
      ...(attribute !== undefined && { attribute }),
      message,
    })
  }
}

const setTwice = (first: Place | undefined) =>
  first?.line === undefined ? 'has several values; leave one' : `is set twice, first in line ${first.line}; remove one`

const withoutEffect = (later: string) =>
  later.startsWith('nothing: ')
    ? `has no effect: ${later.slice('nothing: '.length)}`
    : `has no effect yet: it waits for ${later}`

/** `value`: the one that is not supported, where others are. */
const withoutSupport = (what: string) => `needs ${what}, which this version does not have yet; remove the option`

const isDefault = (option: Option<unknown>, value: unknown) => JSON.stringify(value) === JSON.stringify(option.default)
