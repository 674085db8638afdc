/**
 * IMAP URLs, RFC 5092, with the parts of URLAUTH (RFC 4467 §3). A URL is octets in latin1 until a part of it is decoded; relative ones are
 * resolved as text first (RFC 3986 §5.2), so that what is parsed is always absolute.
 */

import { SyntaxFault } from '../../base/errors.ts'
import { foldInbox } from './mailbox-name.ts'
import { type Partial, readSection, type Section } from './section.ts'
import { TokenReader } from './token-reader.ts'

/** Who may fetch by a URL. RFC 4467 §3 */
export type UrlAccess =
  | { readonly kind: 'submit' | 'user'; readonly user: string }
  | { readonly kind: 'authuser' | 'anonymous' }

export interface ImapUrl {
  /** Unicode. */
  readonly user: string | undefined
  /** SASL mechanism, or '*' for any. */
  readonly auth: string | undefined
  /** As written, without port. */
  readonly host: string
  readonly port: number | undefined
  /** Unicode, INBOX folded; undefined: the URL is that of a server. */
  readonly mailbox: string | undefined
  readonly uidValidity: number | undefined
  /** SEARCH's arguments; octets in latin1. */
  readonly search: string | undefined
  /** undefined: the URL is that of a mailbox, or of messages in it. */
  readonly uid: number | undefined
  /** The whole message where the URL names none. */
  readonly section: Section
  readonly partial: Partial | undefined
  /** Milliseconds since 1970. */
  readonly expire: number | undefined
  readonly access: UrlAccess | undefined
  readonly verifier: UrlVerifier | undefined
}

/** What makes a URL authorised. RFC 4467 §5 */
export interface UrlVerifier {
  /** Upper case. */
  readonly mechanism: string
  /** Hexadecimal digits, at least 32. */
  readonly token: string
  /** The URL without both: what the token is made of. */
  readonly rump: string
}

/** Octets of one URL that are looked at. */
const maxOctets = 4096

const wholeMessage: Section = { part: [], text: undefined, fields: [] }
const fault = (expected: string) => new SyntaxFault(`url: expected ${expected}`, 'url')

/** Throws SyntaxFault. */
export function parseImapUrl(url: string): ImapUrl {
  checkOctets(url)
  const [whole, authority, path = ''] = /^imap:\/\/([^/?]*)(?:\/(.*))?$/is.exec(url) ?? []
  if (whole === undefined) throw fault('imap:// and a server')
  const server = parseServer(authority!)
  const query = path.indexOf('?')
  const pieces = (query < 0 ? path : path.slice(0, query)).split(';')
  const parameters = new Parameters(pieces)
  const uidValidity = parameters.number('UIDVALIDITY', '')
  const uid = parameters.number('UID', '/')
  const section = uid === undefined ? undefined : parameters.value('SECTION', '/')
  const partial = uid === undefined ? undefined : parameters.value('PARTIAL', '/')
  const expire = uid === undefined ? undefined : parameters.value('EXPIRE', '')
  const urlauth = uid === undefined ? undefined : parameters.value('URLAUTH', '')
  parameters.end()
  if (expire !== undefined && urlauth === undefined) throw fault(';URLAUTH= behind ;EXPIRE=')
  const name = parameters.mailbox
  if (name === '' && pieces.length > 1) throw fault('a mailbox before the parameters')
  if (query >= 0 && uid !== undefined) throw fault('no search behind ;UID=')
  return {
    ...server,
    mailbox: name === '' ? undefined : foldInbox(decodeText(name)),
    uidValidity,
    search: query < 0 ? undefined : decodeOctets(path.slice(query + 1)),
    uid,
    section: section === undefined ? wholeMessage : parseSection(decodeOctets(section)),
    partial: partial === undefined ? undefined : parsePartial(partial),
    expire: expire === undefined ? undefined : parseExpire(expire),
    ...(urlauth === undefined ? { access: undefined, verifier: undefined } : parseUrlauth(urlauth, url)),
  }
}

/** The parameters of a path, in the one order that they may have. */
class Parameters {
  readonly #pieces: readonly string[]
  #next = 1
  #before: string

  constructor(pieces: readonly string[]) {
    this.#pieces = pieces
    this.#before = pieces[0]!
  }

  /** What stands before the first parameter. Encoded. */
  get mailbox(): string {
    // </foo/;UID=20/..> is </foo>. RFC 5092 §9.1
    return this.#pieces[0]!.replace(/\/$/, '')
  }

  /** `joint`: what stands between it and what is before it. */
  value(name: string, joint: '' | '/'): string | undefined {
    const piece = this.#pieces[this.#next]
    const value = piece?.slice(name.length + 1)
    if (piece === undefined || value === undefined || piece.slice(0, name.length + 1).toUpperCase() !== `${name}=`)
      return undefined
    if (joint === '/' && !this.#before.endsWith('/')) throw fault(`"/" before ;${name}=`)
    if (joint === '' && this.#before.endsWith('/')) throw fault(`no "/" before ;${name}=`)
    this.#before = value
    this.#next++
    // One "/" belongs to what follows it.
    return this.#next < this.#pieces.length ? value.replace(/\/$/, '') : value
  }

  number(name: string, joint: '' | '/'): number | undefined {
    const value = this.value(name, joint)
    if (value === undefined) return undefined
    return parseNumber(value.replace(/\/$/, ''), 1)
  }

  end(): void {
    if (this.#next < this.#pieces.length)
      throw fault('UIDVALIDITY, UID, SECTION, PARTIAL, EXPIRE, URLAUTH in this order')
  }
}

/** Absolute, of a reference that may be relative; `base` is absolute and has a mailbox or none, or names a message. RFC 3986 §5.2, RFC 5092 §7 */
export function resolveImapUrl(reference: string, base: string): string {
  checkOctets(reference)
  if (isAbsoluteUrl(reference)) return reference
  const [, server, rest] = /^(imap:\/\/[^/?]*)(.*)$/is.exec(base) ?? []
  if (server === undefined) throw fault('an absolute base')
  if (reference.startsWith('//')) return `imap:${reference}`
  if (reference === '') return base
  if (reference.startsWith('?')) return `${server}${pathOf(rest!)}${reference}`
  const query = reference.indexOf('?')
  const path = query < 0 ? reference : reference.slice(0, query)
  const merged = path.startsWith('/') ? path : `${directoryOf(pathOf(rest!), path)}${path}`
  return `${server}${withoutDotSegments(merged)}${query < 0 ? '' : reference.slice(query)}`
}

/** It has a scheme. */
export function isAbsoluteUrl(url: string): boolean {
  return /^[a-z][a-z0-9+.-]*:/i.test(url)
}

const pathOf = (rest: string) => rest.replace(/\?.*$/s, '')

/** Of a mailbox, parameters are below it, though no "/" ends it. RFC 5092 §9.1 */
function directoryOf(base: string, path: string): string {
  const isBelowMailbox = path.startsWith(';') && !/\/;UID=/i.test(base)
  return isBelowMailbox ? `${base.replace(/\/$/, '')}/` : `/${base.slice(1, base.lastIndexOf('/') + 1)}`
}

/** RFC 3986 §5.2.4, of a path that begins with "/". */
function withoutDotSegments(path: string): string {
  const segments = path.slice(1).split('/')
  const kept: string[] = []
  for (const [index, segment] of segments.entries()) {
    if (segment === '..') kept.pop()
    else if (segment !== '.') {
      kept.push(segment)
      continue
    }
    if (index === segments.length - 1) kept.push('')
  }
  return `/${kept.join('/')}`
}

/** Of a server, a mailbox or a message; without what URLAUTH adds, which is text behind a URL. */
export function formatImapUrl(
  url: Pick<ImapUrl, 'host'> &
    globalThis.Partial<Omit<ImapUrl, 'host' | 'expire' | 'access' | 'verifier' | 'section'>> & {
      /** As it stands between brackets. */
      readonly section?: string
    },
): string {
  const auth = url.auth === undefined ? '' : `;AUTH=${url.auth === '*' ? '*' : encode(url.auth, userChar)}`
  const user = `${encode(url.user ?? '', userChar)}${auth}`
  let text = `imap://${user === '' ? '' : `${user}@`}${url.host}${url.port === undefined ? '' : `:${url.port}`}/`
  if (url.mailbox === undefined) return text
  text += encode(url.mailbox, pathChar).replace(
    /(^|\/)(\.{1,2})(?=\/|$)/g,
    (_, before, dots) => `${before}${dots.replaceAll('.', '%2E')}`,
  )
  if (url.uidValidity !== undefined) text += `;UIDVALIDITY=${url.uidValidity}`
  if (url.search !== undefined) text += `?${encodeOctets(Buffer.from(url.search, 'latin1'), pathChar)}`
  if (url.uid === undefined) return text
  text += `/;UID=${url.uid}`
  if (url.section !== undefined && url.section !== '') text += `/;SECTION=${encode(url.section, pathChar)}`
  if (url.partial === undefined) return text
  const { offsetOctets, lengthOctets } = url.partial
  return `${text}/;PARTIAL=${offsetOctets}${lengthOctets === Number.MAX_SAFE_INTEGER ? '' : `.${lengthOctets}`}`
}

/** RFC 5092 §11: achar, bchar. */
const userChar = /[A-Za-z0-9\-._~!$'()*+,&=]/
const pathChar = /[A-Za-z0-9\-._~!$'()*+,&=:@/]/

const encode = (text: string, plain: RegExp) => encodeOctets(Buffer.from(text), plain)

function encodeOctets(octets: Buffer, plain: RegExp): string {
  let encoded = ''
  for (const octet of octets) {
    const char = String.fromCharCode(octet)
    encoded += plain.test(char) ? char : `%${octet.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}

function parseServer(authority: string): Pick<ImapUrl, 'user' | 'auth' | 'host' | 'port'> {
  const at = authority.lastIndexOf('@')
  const userinfo = authority.slice(0, Math.max(0, at))
  const [, host, port] =
    /^(\[[0-9a-f:.]+\]|[a-z0-9\-._~!$&'()*+,;=%]+)(?::(\d{0,5}))?$/i.exec(authority.slice(at + 1)) ?? []
  if (host === undefined) throw fault('a host, maybe with a port')
  const [, user, auth] = /^([^;:@]*)(?:;AUTH=([^;:@]+))?$/i.exec(userinfo) ?? []
  if (user === undefined || (at >= 0 && userinfo === '')) throw fault('a user, maybe with ;AUTH=, before the "@"')
  return {
    user: user === '' ? undefined : decodeText(user),
    auth: auth === undefined ? undefined : decodeText(auth),
    host,
    port: port === undefined || port === '' ? undefined : Number(port),
  }
}

function parseSection(section: string): Section {
  if (section === '') throw fault('a section behind ;SECTION=')
  const reader = new TokenReader({ pieces: [`[${section}]`], literals: [] })
  const parsed = readSection(reader)
  reader.end()
  return parsed
}

function parsePartial(value: string): Partial {
  const [offset = '', length, more] = value.split('.')
  if (more !== undefined) throw fault(';PARTIAL= with an offset, maybe with a length')
  return {
    offsetOctets: parseNumber(offset, 0),
    lengthOctets: length === undefined ? Number.MAX_SAFE_INTEGER : parseNumber(length, 1),
  }
}

function parseNumber(digits: string, least: number): number {
  const value = /^\d{1,10}$/.test(digits) ? Number(digits) : -1
  if (value < least || value > 0xffffffff) throw fault(`a number from ${least} to 4294967295`)
  return value
}

/** date-time of RFC 3339. */
function parseExpire(value: string): number {
  const text = decodeOctets(value)
  const date = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/.test(text)
  const ms = date ? Date.parse(text.toUpperCase()) : Number.NaN
  if (Number.isNaN(ms)) throw fault(';EXPIRE= with a date and time such as 2026-11-28T12:00:00Z')
  return ms
}

function parseUrlauth(value: string, url: string): Pick<ImapUrl, 'access' | 'verifier'> {
  const [who = '', mechanism, token, more] = value.split(':')
  const access = parseAccess(who)
  if (mechanism === undefined) return { access, verifier: undefined }
  if (
    token === undefined ||
    more !== undefined ||
    !/^[a-z0-9\-.]+$/i.test(mechanism) ||
    !/^[0-9a-f]{32,}$/i.test(token)
  )
    throw fault('a mechanism and at least 32 hexadecimal digits behind ;URLAUTH=')
  // Cut off, and nothing else. RFC 4467 §6
  const rump = url.slice(0, url.length - mechanism.length - token.length - 2)
  return { access, verifier: { mechanism: mechanism.toUpperCase(), token, rump } }
}

function parseAccess(access: string): UrlAccess {
  const [, prefix, user] = /^(submit|user)\+([^;:@/]+)$/i.exec(access) ?? []
  if (prefix !== undefined) return { kind: prefix.toLowerCase() as 'submit' | 'user', user: decodeText(user!) }
  const word = access.toLowerCase()
  if (word === 'authuser' || word === 'anonymous') return { kind: word }
  throw fault(';URLAUTH= with submit+USER, user+USER, authuser or anonymous')
}

function decodeText(encoded: string): string {
  const octets = Buffer.from(decodeOctets(encoded), 'latin1')
  const text = octets.toString()
  if (!Buffer.from(text).equals(octets)) throw fault('UTF-8')
  return text
}

/** Octets in latin1. */
function decodeOctets(encoded: string): string {
  if (/%(?![0-9a-f]{2})/i.test(encoded)) throw fault('two hexadecimal digits behind "%"')
  return encoded.replace(/%([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
}

function checkOctets(url: string): void {
  if (url.length > maxOctets) throw fault(`at most ${maxOctets} octets`)
  // RFC 3986 §2: the rest is percent-encoded. Also keeps a URL that is repeated in a response free of it.
  if (/[^\x21-\x7e]/.test(url)) throw fault('printable ASCII without spaces, the rest percent-encoded')
}
