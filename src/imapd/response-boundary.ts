/** Where responses of another server begin and end in its octets: something of our own may only be said between them. RFC 3501 §2.2.2 */

/** The longest `{n}` and what tells a status response. */
const headOctets = 80
const tailOctets = 24
/** Their text may end in anything. RFC 3501 §7.1 */
const status = /^[^ ]+ (?:OK|NO|BAD|BYE|PREAUTH)(?: |\r|$)/i
const literal = /\{(\d{1,10})\+?\}\r?\n$/

export class ResponseBoundary {
  #literalOctets = 0
  #head = ''
  #tail = ''
  /** It said `* BYE`. */
  saidBye = false

  /** No response is under way. */
  get isBetween(): boolean {
    return this.#literalOctets === 0 && this.#tail === ''
  }

  push(octets: Buffer): void {
    for (let at = 0; at < octets.length; ) {
      if (this.#literalOctets > 0) {
        const count = Math.min(this.#literalOctets, octets.length - at)
        this.#literalOctets -= count
        at += count
        continue
      }
      const lf = octets.indexOf(0x0a, at)
      const end = lf < 0 ? octets.length : lf + 1
      if (this.#head.length < headOctets)
        this.#head += text(octets, at, Math.min(end, at + headOctets - this.#head.length))
      this.#tail = (this.#tail + text(octets, Math.max(at, end - tailOctets), end)).slice(-tailOctets)
      at = end
      if (lf >= 0) this.#lineEnd()
    }
  }

  #lineEnd(): void {
    const size = status.test(this.#head) ? undefined : literal.exec(this.#tail)?.[1]
    if (size === undefined) {
      if (/^\* BYE(?: |\r)/i.test(this.#head)) this.saidBye = true
      this.#head = ''
      this.#tail = ''
      return
    }
    this.#literalOctets = Number(size)
    // What comes behind the literal belongs to the same response.
    this.#tail = '{}'
  }
}

const text = (octets: Buffer, from: number, to: number): string => octets.toString('latin1', from, to)
