/**
 * Address lists of RFC 5322 §3.4, with groups, source routes (§4.4) and comments. What can't be read is not dropped: an address
 * without a local part or a domain gets a placeholder there (the ones that Dovecot uses), because an undefined host means a group.
 */

import { singleSpaced } from './header.ts'
import { Lexer } from './lexer.ts'
import type { Address } from './types.ts'

const missingMailbox = 'MISSING_MAILBOX'
const missingDomain = 'MISSING_DOMAIN'
const syntaxError = 'SYNTAX_ERROR'
const invalidRoute = 'INVALID_ROUTE'

const groupEnd: Address = { name: undefined, route: undefined, mailbox: undefined, host: undefined }

/** The first `atMost` addresses of an unfolded field body; undefined when there is nothing in it. */
export function parseAddresses(value: string, atMost: number): Address[] | undefined {
  const input = new Lexer(value)
  const addresses: Address[] = []
  if (!input.skipCfws() || input.atEnd) return undefined
  do {
    if (!readGroup(input, addresses, atMost)) addresses.push(readMailbox(input))
  } while (addresses.length < atMost && input.take(',') && input.skipCfws() && !input.atEnd)
  return addresses
}

/** `display-name ":" [mailbox-list] ";"`. False, nothing taken: no group here. Its end is added also when `atMost` are there. */
function readGroup(input: Lexer, into: Address[], atMost: number): boolean {
  const start = input.position
  const name = input.phrase()
  if (name === undefined || !input.take(':')) {
    input.rewind(start)
    return false
  }
  into.push({ name: undefined, route: undefined, mailbox: name, host: undefined })
  if (input.skipCfws() && !input.atEnd && input.peek() !== ';')
    do into.push(readMailbox(input))
    while (into.length < atMost && input.take(',') && input.skipCfws())
  if (input.take(';')) input.skipCfws()
  into.push(groupEnd)
  return true
}

function readMailbox(input: Lexer): Address {
  const start = input.position
  const phrase = input.phrase()
  if (phrase !== undefined && input.take('<')) return readAngleAddress(input, phrase)
  const end = input.position
  input.rewind(start)
  const isQuoted = input.peek() === '"'
  input.comment = undefined
  const { mailbox, host } = readAddrSpec(input)
  // Words without an address are a name; an atom alone is more likely a local part.
  if (host === undefined && phrase !== undefined && (isQuoted || input.position < end)) {
    input.rewind(end)
    return complete({ name: phrase, route: undefined, mailbox: undefined, host: undefined })
  }
  // `user@host (Full Name)`, from before display names. RFC 5322 §3.4, last note
  return complete({ name: input.comment, route: undefined, mailbox, host })
}

/** What follows `<`. */
function readAngleAddress(input: Lexer, name: string): Address {
  input.skipCfws()
  const route = input.peek() === '@' ? readRoute(input) : undefined
  const { mailbox, host } = readAddrSpec(input)
  const closed = input.take('>')
  if (closed) input.skipCfws()
  return complete({ name, route, mailbox, host: closed && host !== '' ? host : syntaxError })
}

/** `obs-route` without its colon: "@a,@b". */
function readRoute(input: Lexer): string {
  const domains: string[] = []
  while (input.take('@')) {
    domains.push(`@${readDomain(input) ?? ''}`)
    while (input.skipCfws() && input.take(','));
  }
  if (!input.take(':')) return invalidRoute
  input.skipCfws()
  return domains.join(',')
}

/** `local-part "@" domain`; a host of '' stands for one that can't be read. */
function readAddrSpec(input: Lexer): { mailbox: string | undefined; host: string | undefined } {
  const mailbox = readLocalPart(input)
  if (!input.take('@')) return { mailbox, host: undefined }
  input.skipCfws()
  return { mailbox, host: readDomain(input) ?? '' }
}

/** `word *("." word)`, quoted strings without their quotes; words may be missing. undefined: none here. */
function readLocalPart(input: Lexer): string | undefined {
  const words: string[] = []
  do {
    if (!input.skipCfws()) break
    const start = input.position
    const word = input.peek() === '"' ? input.quotedString() : input.atomText(false)
    if (word === undefined) break
    if (input.position > start || input.peek() === '.' || words.length > 0) words.push(word)
  } while (input.skipCfws() && input.take('.'))
  return words.length === 0 ? undefined : words.join('.')
}

function readDomain(input: Lexer): string | undefined {
  return input.peek() === '[' ? input.domainLiteral() : input.dotAtom()
}

function complete({ name, route, mailbox, host }: Address): Address {
  const shownName = name === undefined ? undefined : singleSpaced(name) || undefined
  return { name: shownName, route, mailbox: mailbox ?? missingMailbox, host: host || missingDomain }
}
