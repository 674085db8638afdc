/**
 * One FETCH response, written piece by piece so that bodies are never joined or held. RFC 9051 §7.5.2, §9 rule msg-att
 *
 *     const response = new FetchResponse(write, seqNum)
 *     response.item('UID', '5')
 *     response.literal('BODY[]', sizeOctets)
 *     for await (const chunk of content.stream()) { response.octets(chunk); await drain() }
 *     response.end()
 */
export class FetchResponse {
  readonly #write: (octets: Uint8Array | string) => void
  #text: string
  #separator = ''
  /** Octets announced and not written yet. */
  #literalLeft = 0

  /** `write` takes octets, or a string of octets in latin1. Nothing is written before the first literal or the end. */
  constructor(write: (octets: Uint8Array | string) => void, sequenceNumber: number) {
    this.#write = write
    this.#text = `* ${sequenceNumber} FETCH (`
  }

  /** An item and its value as it stands on the wire (formatted by this room; may hold literals of its own). */
  item(name: string, value: string): void {
    this.#start(name)
    this.#text += value
  }

  /** An item whose value is NIL: the section is not there. */
  nil(name: string): void {
    this.item(name, 'NIL')
  }

  /** Announces a literal of exactly `sizeOctets`, to be given by `octets`. `binary`: as literal8, which may hold NUL; RFC 3516 §7 */
  literal(name: string, sizeOctets: number, { binary = false }: { readonly binary?: boolean } = {}): void {
    this.#start(name)
    this.#write(`${this.#text}${binary ? '~' : ''}{${sizeOctets}}\r\n`)
    this.#text = ''
    this.#literalLeft = sizeOctets
  }

  octets(octets: Uint8Array): void {
    if (octets.length > this.#literalLeft) throw new Error('more octets than the literal announced')
    this.#literalLeft -= octets.length
    this.#write(octets)
  }

  /**
   * Octets that the literal still lacks. When they can't be given (the message is damaged), the connection has to be closed:
   * the client would take whatever follows for message content.
   */
  get literalLeft(): number {
    return this.#literalLeft
  }

  end(): void {
    this.#expectNoLiteral()
    this.#write(`${this.#text})\r\n`)
  }

  #start(name: string): void {
    this.#expectNoLiteral()
    this.#text += `${this.#separator}${name} `
    this.#separator = ' '
  }

  #expectNoLiteral(): void {
    if (this.#literalLeft > 0) throw new Error(`${this.#literalLeft} octets of the literal are missing`)
  }
}
