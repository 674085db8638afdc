/**
 * The octets of a message behind DATA: RFC 5321 §4.5.2. A line begins behind CR LF and nowhere else, so a lone dot ends the message behind CR LF alone: behind
 * a bare LF or CR it is content, as those are themselves (docs/decisions/0360-octets-of-messages.md). In doubt about the next octet, dots and the CR behind
 * one are held back; CR LF never is.
 */

const cr = 0x0d
const lf = 0x0a
const dot = 0x2e
const crlfDot = Buffer.from('\r\n.')
const oneCr = Buffer.from('\r')

/** What the octets so far end with. */
type Position = 'line start' | 'dot at line start' | 'dot and CR' | 'CR' | 'text'

export interface Unstuffed {
  /** Of the message; the chunk itself, or a part of it, where no dot was to be taken out. */
  readonly octets: Buffer
  /** The message is complete: what is behind this many octets of the chunk belongs to commands. Undefined: it goes on. */
  readonly endsAt: number | undefined
}

export class DotUnstuffer {
  #position: Position = 'line start'

  push(chunk: Buffer): Unstuffed {
    const kept: Buffer[] = []
    /** Where octets begin that are to be kept. */
    let from = 0
    let at = 0
    const keep = (to: number) => {
      if (to > from) kept.push(chunk.subarray(from, to))
    }
    const result = (endsAt: number | undefined): Unstuffed => ({
      octets: kept.length === 1 ? kept[0]! : Buffer.concat(kept),
      endsAt,
    })
    while (at < chunk.length) {
      const octet = chunk[at]!
      switch (this.#position) {
        case 'line start':
          if (octet === dot) {
            keep(at)
            from = ++at
            this.#position = 'dot at line start'
          } else this.#position = 'text'
          break
        case 'dot at line start':
          if (octet === cr) {
            from = ++at
            this.#position = 'dot and CR'
          } else this.#position = 'text'
          break
        case 'dot and CR':
          if (octet === lf) {
            this.#position = 'line start'
            return result(at + 1)
          }
          kept.push(oneCr)
          this.#position = 'CR'
          break
        case 'CR':
          this.#position = octet === lf ? 'line start' : octet === cr ? 'CR' : 'text'
          at++
          break
        case 'text': {
          const found = chunk.indexOf(crlfDot, at)
          this.#position = found < 0 ? positionBehind(chunk.subarray(at)) : 'line start'
          at = found < 0 ? chunk.length : found + 2
        }
      }
    }
    keep(chunk.length)
    return result(undefined)
  }
}

function positionBehind(octets: Buffer): Position {
  if (octets.at(-1) === cr) return 'CR'
  return octets.at(-1) === lf && octets.at(-2) === cr ? 'line start' : 'text'
}
