/** A client's command: RFC 5321 §2.4, §4.1.1. */
import { isUtf8 } from 'node:buffer'
import { SyntaxFault } from '../../base/errors.ts'
import { type MailAddress, readPath } from './path.ts'

export interface LmtpCommand {
  /** Upper case. */
  readonly keyword: string
  /** What stands behind the keyword's space, without blanks around it; empty where there is nothing. */
  readonly argument: string
}

/** Splits a line. Throws SyntaxFault for one that is not UTF-8, has control characters, or does not begin with a keyword. */
export function parseCommand(line: Buffer): LmtpCommand {
  const text = textOf(line)
  const space = text.indexOf(' ')
  const keyword = (space < 0 ? text : text.slice(0, space)).toUpperCase()
  if (!/^[A-Z]{3,16}$/.test(keyword)) throw new SyntaxFault('a command begins with its keyword', 'command')
  return { keyword, argument: space < 0 ? '' : text.slice(space + 1).trim() }
}

function textOf(line: Buffer): string {
  if (!isUtf8(line)) throw new SyntaxFault('a command is ASCII, or UTF-8 in addresses', 'command')
  const text = line.toString('utf8')
  if (/\p{Cc}/u.test(text)) throw new SyntaxFault('a command has no control characters', 'command')
  return text
}

/** Throws SyntaxFault when there is an argument. */
export function noArgument(argument: string): void {
  if (argument !== '') throw new SyntaxFault('the command takes no argument', 'argument')
}

export interface Envelope {
  /** Undefined: the null reverse-path. */
  readonly address: MailAddress | undefined
  /** By keyword in upper case; '' for one without value. RFC 5321 §4.1.1.11 */
  readonly parameters: ReadonlyMap<string, string>
}

/** The argument of MAIL (`FROM`) and RCPT (`TO`). Throws SyntaxFault. */
export function parseEnvelope(word: 'FROM' | 'TO', argument: string): Envelope {
  const given = argument.slice(0, word.length + 1).toUpperCase()
  if (given !== `${word}:`) throw new SyntaxFault(`the command is followed by ${word}:<address>`, 'argument')
  // A blank in front is of no RFC, but what clients send.
  const { address, rest } = pathBehind(word, argument.slice(word.length + 1).trimStart())
  if (rest !== '' && !rest.startsWith(' '))
    throw new SyntaxFault('a blank stands between the address and a parameter', 'argument')
  const parameters = new Map<string, string>()
  for (const text of rest.split(' ')) {
    if (text === '') continue
    const equals = text.indexOf('=')
    const keyword = (equals < 0 ? text : text.slice(0, equals)).toUpperCase()
    const value = equals < 0 ? '' : text.slice(equals + 1)
    if (!/^[A-Z0-9][A-Z0-9-]*$/.test(keyword) || (equals >= 0 && value === '') || value.includes('='))
      throw new SyntaxFault('a parameter is KEYWORD or KEYWORD=value', 'parameter')
    if (parameters.has(keyword)) throw new SyntaxFault(`${keyword} is there twice`, 'parameter')
    parameters.set(keyword, value)
  }
  return { address, parameters }
}

/** Whose path it is decides the status that a fault is told with. */
function pathBehind(word: 'FROM' | 'TO', text: string): ReturnType<typeof readPath> {
  try {
    return readPath(text)
  } catch (error) {
    throw error instanceof SyntaxFault ? new SyntaxFault(error.message, `${word} path`) : error
  }
}

export interface Chunk {
  readonly octets: number
  readonly isLast: boolean
}

/** The argument of BDAT, RFC 3030 §2. Throws SyntaxFault: then nobody knows where the chunk ends. */
export function parseChunk(argument: string): Chunk {
  const found = /^(\d{1,20})( +LAST)?$/i.exec(argument)
  if (found === null) throw new SyntaxFault('BDAT takes a number of octets, and LAST', 'argument')
  return { octets: Number(found[1]), isLast: found[2] !== undefined }
}
