/**
 * Address lists of RFC 5322 §3.4, with groups, source routes (§4.4) and comments. What can't be read is not dropped: an address
 * without a local part or a domain gets a placeholder there (the ones that Dovecot uses), because an undefined host means a group.
 */

import { mimeLimits } from '../base/limits.ts'
import { Lexer } from './lexer.ts'
import type { Address } from './types.ts'

const missingMailbox = 'MISSING_MAILBOX'
const missingDomain = 'MISSING_DOMAIN'
const syntaxError = 'SYNTAX_ERROR'

const groupEnd: Address = { name: undefined, route: undefined, mailbox: undefined, host: undefined }

/** `value` is an unfolded field body. undefined when there is nothing in it. */
export function parseAddresses(value: string): readonly Address[] | undefined {
  const input = new Lexer(value)
  const addresses: Address[] = []
  if (!input.skipCfws() || input.atEnd) return undefined
  do {
    if (!readGroup(input, addresses)) addresses.push(readMailbox(input))
  } while (addresses.length < mimeLimits.addresses && input.take(',') && input.skipCfws() && !input.atEnd)
  return addresses.slice(0, mimeLimits.addresses)
}

/** `display-name ":" [mailbox-list] ";"`. False, nothing taken: no group here. */
function readGroup(input: Lexer, into: Address[]): boolean {
  const start = input.position
  const name = input.phrase()
  if (name === undefined || !input.take(':')) {
    input.rewind(start)
    return false
  }
  into.push({ name: undefined, route: undefined, mailbox: name, host: undefined })
  if (input.skipCfws() && !input.atEnd && input.peek() !== ';')
    do into.push(readMailbox(input))
    while (into.length < mimeLimits.addresses && input.take(',') && input.skipCfws())
  if (input.take(';')) input.skipCfws()
  into.push(groupEnd)
  return true
}

function readMailbox(input: Lexer): Address {
  const start = input.position
  const name = input.phrase()
  if (name !== undefined && input.take('<')) return readAngleAddress(input, name === '' ? undefined : name)
  input.rewind(start)
  input.comment = undefined
  const { mailbox, host } = readAddrSpec(input)
  // `user@host (Full Name)`, from before display names. RFC 5322 §3.4, last note
  return complete({ name: input.comment || undefined, route: undefined, mailbox, host })
}

/** What follows `<`. */
function readAngleAddress(input: Lexer, name: string | undefined): Address {
  input.skipCfws()
  const route = input.peek() === '@' ? readRoute(input) : undefined
  const { mailbox, host } = readAddrSpec(input)
  const closed = input.take('>')
  if (closed) input.skipCfws()
  return complete({ name, route, mailbox, host: closed ? host : syntaxError })
}

/** `obs-route` without its colon: "@a,@b". */
function readRoute(input: Lexer): string {
  const domains: string[] = []
  while (input.take('@')) {
    domains.push(`@${readDomain(input) ?? ''}`)
    while (input.skipCfws() && input.take(','));
  }
  if (input.take(':')) input.skipCfws()
  return domains.join(',')
}

function readAddrSpec(input: Lexer): Pick<Address, 'mailbox' | 'host'> {
  const mailbox = readLocalPart(input)
  if (!input.take('@')) return { mailbox, host: undefined }
  input.skipCfws()
  return { mailbox, host: readDomain(input) }
}

/** `word *("." word)`, quoted strings without their quotes. */
function readLocalPart(input: Lexer): string | undefined {
  let text = ''
  do {
    if (!input.skipCfws()) break
    const word = input.peek() === '"' ? input.quotedString() : input.atomText(false)
    if (word === undefined) break
    text += text === '' ? word : `.${word}`
  } while (input.skipCfws() && input.take('.'))
  return text === '' ? undefined : text
}

function readDomain(input: Lexer): string | undefined {
  return input.peek() === '[' ? input.domainLiteral() : input.dotAtom()
}

function complete(address: Address): Address {
  return { ...address, mailbox: address.mailbox || missingMailbox, host: address.host || missingDomain }
}
