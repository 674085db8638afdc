/**
 * What an option is: one row of the table in `options/`, and the builders that the rows are written with.
 * A row's type parameter is the type of `config.get(name)`; everything else in it is read by validation, `docs/options.md`
 * and `checkConfig`.
 */
import { resolve } from 'node:path'
import { isSealed } from './servpass/seal.ts'
import { SealedPassword } from './servpass/sealed-password.ts'
import type { XmlElement } from './xml.ts'

export type Service =
  | 'imapd'
  | 'pop3d'
  | 'lmtpd'
  | 'sieved'
  | 'mseventd'
  | 'msadmind'
  | 'ms_syncd'
  | 'msadm'
  | 'msstat'
  | 'spasscrypt'
  | 'spassmgt'
  | 'mlogd'
  | 'IMA'

/** Where an option stands: an element of the top level `ms_options`, or of `sasl` inside it. */
export type OptionParent = 'ms_options' | 'sasl'
export type OptionType = 'boolean' | 'integer' | 'string' | 'password' | 'path' | 'url' | 'enum' | 'list'

/** What every row says. */
export interface OptionFacts {
  /** Of the administration guide; 'own' for options that only this product has. */
  readonly section: string
  readonly services: readonly Service[]
  /** `live`: a daemon that rereads its configuration (SIGHUP) acts on it; `restart`: taken in once, at start. */
  readonly reload: 'live' | 'restart'
  /** What it does, in a line. */
  readonly doc: string
  /** Attribute of the same meaning in the directory. */
  readonly ldap?: string
  readonly unit?: 'seconds' | 'minutes' | 'days' | 'bytes' | 'KB'
  /** May occur several times; `config.all` gives every value. */
  readonly repeatable?: true
  /** Type in the documentation, where the builder's own would mislead. */
  readonly documentedAs?: OptionType
  /** Default as documented where it is computed rather than fixed. */
  readonly computed?: string
  /** Names what has to come before the option has an effect; setting it is answered with a warning. */
  readonly later?: string
  /** As `later`, but going on without the effect would do harm: setting it is an error. */
  readonly refused?: string
}

export interface Option<T> extends OptionFacts {
  readonly parent: OptionParent
  readonly type: OptionType
  readonly default: T
  /** The values that are valid, in words: the end of an error message. */
  readonly valid: string
  /** Names, where only these are valid. */
  readonly values?: readonly string[]
  readonly min?: number
  readonly max?: number
  /** Attributes and children of an option that is written as an element with a structure, for the reference. */
  readonly attributes?: readonly AttributeRow[]
  /** Throws Invalid. */
  read(element: XmlElement, directory: string): T
}

/** A name that belongs to the configuration but isn't an option: an attribute of a structured element, a directory attribute, a field of ms_sync.xml. */
export interface AttributeRow {
  readonly section: string
  readonly name: string
  readonly parent: string
  readonly type: OptionType
  readonly services: readonly Service[]
  readonly doc: string
  readonly ldap?: string
  readonly unit?: OptionFacts['unit']
  readonly values?: readonly string[]
  /** Only this product has it. */
  readonly own?: true
}

/** A value that an option does not accept; says what is wrong, the reader adds place and what would be valid. */
export class Invalid extends Error {
  override readonly name = 'Invalid'
  /** Line of the part that is wrong, where that isn't the element's own. */
  readonly line: number | undefined
  constructor(message: string, line?: number) {
    super(message)
    this.line = line
  }
}

export type Facts<T> = OptionFacts & { readonly default: T }
/** Facts without a default: unset is `undefined`. */
export type Bare = OptionFacts & { readonly default?: never }

/** How a row's text becomes a value. */
interface Kind<T> {
  readonly type: OptionType
  readonly valid: string
  readonly values?: readonly string[]
  readonly min?: number
  readonly max?: number
  readonly attributes?: readonly AttributeRow[]
  read(element: XmlElement, directory: string): T
}

const row = <T>(parent: OptionParent, facts: OptionFacts & { readonly default?: T }, kind: Kind<T>): Option<T> => ({
  ...facts,
  ...kind,
  type: facts.documentedAs ?? kind.type,
  parent,
  default: facts.default as T,
})

/** Text of an element that may have neither children nor attributes of its own. */
export const textOf = (element: XmlElement): string => {
  const encrypt = element.attributes.get('servpass:encrypt')
  if (encrypt !== undefined) throw new Invalid('has servpass:encrypt, which is for passwords only', encrypt.line)
  return bareTextOf(element).trim()
}

const bareTextOf = (element: XmlElement): string => {
  const child = element.children[0]
  if (child !== undefined) throw new Invalid('has another element inside', child.line)
  for (const [name, attribute] of element.attributes)
    if (!name.startsWith('servpass:')) throw new Invalid(`has an attribute ${name}`, attribute.line)
  return element.text
}

interface Bounds {
  readonly min?: number
  readonly max?: number
  /** A single value outside the bounds that has a meaning of its own. */
  readonly special?: number
}
const integerKind = ({ min, max, special }: Bounds, unit: string | undefined): Kind<number> => {
  const range =
    min !== undefined && max !== undefined
      ? `from ${min} to ${max}`
      : min !== undefined
        ? `of ${min} or more`
        : max !== undefined
          ? `up to ${max}`
          : ''
  return {
    type: 'integer',
    valid: `a whole number${range && ` ${range}`}${unit === undefined ? '' : ` (${unit})`}${special === undefined ? '' : `, or ${special}`}`,
    ...(min !== undefined && { min }),
    ...(max !== undefined && { max }),
    read: (element) => {
      const text = textOf(element)
      if (!/^[+-]?\d{1,15}$/.test(text)) throw new Invalid(`${quote(text)} is not a whole number`)
      const value = Number(text)
      if (value === special) return value
      if (min !== undefined && value < min) throw new Invalid(`${value} is below the minimum ${min}`)
      if (max !== undefined && value > max) throw new Invalid(`${value} is above the maximum ${max}`)
      return value
    },
  }
}

/** Of Linux, without the NUL behind it. */
const maxSocketPathOctets = 107

/** A piece of the file for a message: cut, and without control characters. */
export const quote = (text: string): string => {
  const cut = text.length > 60 ? `${text.slice(0, 60)}…` : text
  return JSON.stringify(cut)
}

/** Whether spasscrypt encrypts it. */
export const isMarked = (element: XmlElement): boolean => element.attributes.get('servpass:encrypt')?.value === 'true'

/** `config.get` opens it: to everybody who reads the option it is its password. */
const sealedIn = (option: string, text: string): string => {
  try {
    return new SealedPassword(option, text) as unknown as string
  } catch (error) {
    throw new Invalid((error as Error).message)
  }
}

/** The builders of one parent element. */
export const optionsOf = (parent: OptionParent) => {
  function integer(facts: Facts<number> & Bounds): Option<number>
  function integer(facts: Bare & Bounds): Option<number | undefined>
  function integer(facts: OptionFacts & { default?: number } & Bounds): Option<number> | Option<number | undefined> {
    return row<number>(parent, facts, integerKind(facts, facts.unit))
  }

  const boolean = (facts: Facts<boolean>): Option<boolean> =>
    row(parent, facts, {
      type: 'boolean',
      valid: 'true or false',
      values: ['true', 'false'],
      read: (element) => {
        const text = textOf(element)
        const word = text.toLowerCase()
        if (word !== 'true' && word !== 'false') throw new Invalid(`${quote(text)} is neither true nor false`)
        return word === 'true'
      },
    })

  const textKind = (type: OptionType, valid: string): Kind<string> => ({ type, valid, read: textOf })

  function string(facts: Facts<string> & { valid?: string }): Option<string>
  function string(facts: Bare & { valid?: string }): Option<string | undefined>
  function string(
    facts: OptionFacts & { default?: string; valid?: string },
  ): Option<string> | Option<string | undefined> {
    return row<string>(parent, facts, textKind('string', facts.valid ?? 'text'))
  }

  /** The name or address of a server that has to be reached. */
  const server = (facts: Bare): Option<string | undefined> =>
    row<string>(parent, facts, {
      type: 'string',
      valid: 'a host name or an IP address',
      read: (element) => {
        const text = textOf(element)
        if (text === '') throw new Invalid('is empty')
        if (/[\s/]/.test(text)) throw new Invalid(`${quote(text)} is not a host name or address`)
        return text
      },
    })

  /** A host name, an address, or (where the service can) the path of a Unix socket. */
  const host = (facts: Facts<string> & { socket?: true }): Option<string> =>
    row(parent, facts, {
      type: 'string',
      valid: facts.socket
        ? 'a host name, an IP address, empty for all interfaces, or the absolute path of a socket'
        : 'a host name, an IP address, or empty for all interfaces',
      read: (element) => {
        const text = textOf(element)
        if (text.startsWith('/') ? !facts.socket : /[\s/]/.test(text))
          throw new Invalid(`${quote(text)} is not a host name or address`)
        const octets = Buffer.byteLength(text)
        if (text.startsWith('/') && octets > maxSocketPathOctets)
          throw new Invalid(`has ${octets} octets, and the path of a socket at most ${maxSocketPathOctets}`)
        return text
      },
    })

  function password(facts: Facts<string>): Option<string>
  function password(facts: Bare): Option<string | undefined>
  function password(facts: OptionFacts & { default?: string }): Option<string> | Option<string | undefined> {
    return row<string>(parent, facts, {
      type: 'password',
      valid: 'a password in clear, or what spasscrypt made of it',
      // The text as it stands: blanks may belong to a password.
      read: (element) => {
        const text = bareTextOf(element)
        return isMarked(element) && isSealed(text.trim()) ? sealedIn(element.name, text.trim()) : text
      },
    })
  }

  /** Relative ones count from the directory of the configuration file. */
  const pathKind: Kind<string> = {
    type: 'path',
    valid: 'a path, absolute or relative to the directory of this file',
    read: (element, directory) => {
      const text = textOf(element)
      if (text === '') throw new Invalid('is empty')
      if (text.includes('\0')) throw new Invalid('holds a NUL')
      return resolve(directory, text)
    },
  }
  function path(facts: Facts<string>): Option<string>
  function path(facts: Bare): Option<string | undefined>
  function path(facts: OptionFacts & { default?: string }): Option<string> | Option<string | undefined> {
    return row<string>(parent, facts, pathKind)
  }

  interface Choices<V extends string> {
    readonly values: readonly V[]
    /** Other spellings that mean one of the values. */
    readonly synonyms?: Readonly<Record<string, V>>
  }
  function choice<V extends string>(facts: Facts<V> & Choices<V>): Option<V>
  function choice<V extends string>(facts: Bare & Choices<V>): Option<V | undefined>
  function choice<V extends string>(
    facts: OptionFacts & { default?: V } & Choices<V>,
  ): Option<V> | Option<V | undefined> {
    const synonyms = new Map(Object.entries(facts.synonyms ?? {}))
    const names = [...facts.values, ...synonyms.keys()]
    return row<V>(parent, facts, {
      type: 'enum',
      valid: `one of ${names.join(', ')}`,
      values: names,
      read: (element) => {
        const text = textOf(element)
        const word = text.toLowerCase()
        const value = facts.values.find((candidate) => candidate.toLowerCase() === word) ?? synonyms.get(word)
        if (value === undefined) throw new Invalid(`${quote(text)} is not known`)
        return value
      },
    })
  }

  interface Separators {
    /** The characters that separate the words. */
    readonly separators: RegExp
    readonly valid: string
  }
  function words(facts: Facts<readonly string[]> & Separators): Option<readonly string[]>
  function words(facts: Bare & Separators): Option<readonly string[] | undefined>
  function words(
    facts: OptionFacts & { default?: readonly string[] } & Separators,
  ): Option<readonly string[]> | Option<readonly string[] | undefined> {
    return row<readonly string[]>(parent, facts, {
      type: 'list',
      valid: facts.valid,
      read: (element) =>
        textOf(element)
          .split(facts.separators)
          .filter((word) => word !== ''),
    })
  }

  /** An option with a reader of its own. */
  const custom = <T>(facts: OptionFacts & { readonly default: T }, kind: Kind<T>): Option<T> => row(parent, facts, kind)

  return { integer, boolean, string, server, host, password, path, choice, words, custom }
}
