/** Bodies of UIDL and LIST, and the text of STAT. RFC 1939 §5, §7. Lines that make no sense are left out. */
import { BackendError } from '../errors.ts'
import { printable } from '../reply-classifier.ts'
import { Slice } from '../slice.ts'
import type { BodySink, Listed } from '../types.ts'

/** Unique-ids have 70 octets at most (RFC 1939 §7), and some servers send longer ones. */
const lineOctets = 65_536

/** Message numbers are at most nine digits, without sign. */
const number = (text: string): number | undefined => (/^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined)

/**
 * Takes the body of a listing as it arrives, line by line. A promise once it has been at work for long: listings are as
 * long as a server likes.
 */
export class ListingSink implements BodySink {
  readonly #line: (number: number, rest: string) => void
  readonly #slice = new Slice()
  /** The beginning of a line whose end has not arrived yet. */
  #rest = ''

  constructor(line: (number: number, rest: string) => void) {
    this.#line = line
  }

  write(chunk: Buffer): void | Promise<void> {
    const lines = (this.#rest + chunk.toString('latin1')).split('\n')
    this.#rest = lines.pop()!
    if (this.#rest.length > lineOctets)
      throw new BackendError('limit', `the backend sent a listing with a line of more than ${lineOctets} octets`)
    for (const line of lines) this.#take(line)
    if (this.#slice.isLate()) return this.#slice.next()
  }

  end(): void {
    this.#take(this.#rest)
  }

  abort(): void {}

  #take(line: string): void {
    const text = line.endsWith('\r') ? line.slice(0, -1) : line
    const space = text.indexOf(' ')
    const message = number(space < 0 ? text : text.slice(0, space))
    if (message !== undefined) this.#line(message, space < 0 ? '' : text.slice(space + 1))
  }
}

/** Fills `listed`, in the server's order. A number that comes twice keeps its first unique-id. */
export const uidlInto = (listed: Listed[]): ListingSink => {
  const seen = new Set<number>()
  return new ListingSink((message, rest) => {
    if (seen.has(message)) return
    seen.add(message)
    listed.push({ number: message, uidl: rest.trim() })
  })
}

/** Fills `sizes`, octets by message number. */
export const listInto = (sizes: Map<number, number>): ListingSink =>
  new ListingSink((message, rest) => {
    const size = /^\s*(\d{1,15})/.exec(rest)
    if (size !== null) sizes.set(message, Number(size[1]))
  })

/** `nn mm` of STAT; throws when the server's OK says nothing of the kind (an accepted login without a maildrop). */
export const parseStat = (text: string): { readonly count: number; readonly octets: number } => {
  const match = /^\s*(\d{1,9})\s+(\d{1,15})/.exec(text)
  if (match === null)
    throw new BackendError('protocol', 'the backend accepted the login, but its STAT shows no maildrop', {
      serverText: printable(text),
    })
  return { count: Number(match[1]), octets: Number(match[2]) }
}
