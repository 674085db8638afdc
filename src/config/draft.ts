/**
 * A configuration while it is read: from the file first, then from the directory, whose values replace those of the file (LDAP-01). What is wrong is gathered, so
 * that all of it is told in one go.
 */
import { dirname } from 'node:path'
import { type Config, makeConfig, type Place } from './config.ts'
import type { Finding } from './finding.ts'
import { Invalid, isMarked, type Option } from './option.ts'
import { type OptionName, type OptionValue, optionOf } from './options.ts'
import { checkRelations } from './relations.ts'
import { KeyFileFault } from './servpass/key-file.ts'
import { SealedPassword, ServiceKeys } from './servpass/sealed-password.ts'
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

  /** Reads the service key and has it open the passwords that are encrypted; what it doesn't open is an error, and not set. */
  async unlock(): Promise<void> {
    const info = this.#values.get('servpass:info')?.[0] as OptionValue<'servpass:info'>
    const sealed = [...this.#values].flatMap(([name, values]) =>
      values.flatMap((value) => (value instanceof SealedPassword ? [[name, value] as const] : [])),
    )
    const refuse = (name: OptionName, message: string) =>
      this.#report('error', { name, place: this.#placeOf(name) }, message)
    let keys: ServiceKeys | undefined
    try {
      if (info !== undefined && this.#file !== undefined) keys = await ServiceKeys.of(this.#file, info)
    } catch (error) {
      if (!(error instanceof KeyFileFault)) throw error
      refuse('servpass:info', error.message)
    }
    for (const [name, password] of sealed) {
      if (keys !== undefined && password.unlock(await keys.for(password.salt))) continue
      this.#values.delete(name)
      if (info === undefined) refuse(name, 'is encrypted, and no <servpass:info> says with which service key')
      else if (keys !== undefined)
        refuse(
          name,
          'is not what spasscrypt encrypted for it with this service key; write it in clear, and run spasscrypt again',
        )
    }
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
      this.#report(severity, { name: option, place: this.#placeOf(option) }, message)
    const findings = [...this.#findings].sort((a, b) =>
      a.severity === b.severity ? (a.line ?? 0) - (b.line ?? 0) : a.severity === 'error' ? -1 : 1,
    )
    return { config: findings.some(({ severity }) => severity === 'error') ? undefined : config, findings }
  }

  #placeOf(name: OptionName): Place {
    return this.#places.get(name) ?? { source: this.#file }
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
      if (isMarked(element) && typeof value === 'string' && value !== '')
        this.#report('warning', setting, 'is marked servpass:encrypt and still in clear; run spasscrypt -e')
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
