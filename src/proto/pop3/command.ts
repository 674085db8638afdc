/** A client's command: RFC 1939 §3, §9; RFC 2449 §4. */
import { SyntaxFault } from '../../base/errors.ts'

export interface Pop3Command {
  /** Upper case. */
  readonly keyword: string
  /** What stands behind the keyword's space, as it came; undefined where there was no space. */
  readonly argument: Buffer | undefined
}

const SP = 0x20
const MAX_KEYWORD_OCTETS = 16

/** Splits a line. Throws SyntaxFault when it does not start with a keyword. */
export function parseCommand(line: Buffer): Pop3Command {
  const space = line.subarray(0, MAX_KEYWORD_OCTETS + 1).indexOf(SP)
  const end = space < 0 ? line.length : space
  const keyword = line.toString('latin1', 0, Math.min(end, MAX_KEYWORD_OCTETS + 1)).toUpperCase()
  if (!/^[A-Z]{3,16}$/.test(keyword)) throw new SyntaxFault('a command starts with its keyword', 'keyword')
  return { keyword, argument: space < 0 ? undefined : line.subarray(space + 1) }
}

/** Throws SyntaxFault when there is an argument. */
export function noArgument(argument: Buffer | undefined): void {
  if (argument !== undefined && argument.toString('latin1').trim() !== '')
    throw new SyntaxFault('the command takes no argument', 'argument')
}

/** Arguments between spaces, at least `min`, at most `max` of them. */
export function words(argument: Buffer | undefined, min: number, max: number): readonly string[] {
  const found = (argument?.toString('latin1') ?? '').split(' ').filter((word) => word !== '')
  if (found.length < min || found.length > max) {
    const expected = min === max ? `${min}` : `${min} to ${max}`
    throw new SyntaxFault(`the command takes ${expected} argument${max === 1 ? '' : 's'}`, 'argument')
  }
  return found
}

/** A number of at most ten digits: a message-number, or TOP's number of lines. Throws SyntaxFault. */
export function decimal(word: string): number {
  if (!/^\d{1,10}$/.test(word)) throw new SyntaxFault('a number was expected', 'number')
  return Number(word)
}
