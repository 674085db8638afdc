/** The part of a message that TOP shows: the header, the empty line, and the first lines of the body. RFC 1939 §7 */

const LF = 0x0a
const CR = 0x0d

export class TopCutter {
  /** Body lines still to pass; counted once the header is over. */
  #linesLeft: number
  #inHeader = true
  /** What earlier chunks held of the line at hand. */
  #line: 'nothing' | 'cr' | 'text' = 'nothing'
  #done = false

  constructor(bodyLines: number) {
    this.#linesLeft = bodyLines
  }

  /** All that was asked for has passed. */
  get done(): boolean {
    return this.#done
  }

  /** The octets of the next ones of the message that belong to what was asked for. */
  push(chunk: Buffer): Buffer {
    let at = 0
    while (!this.#done && at < chunk.length) {
      const lf = chunk.indexOf(LF, at)
      if (lf < 0) {
        const onlyCr = this.#line === 'nothing' && chunk[at] === CR && at + 1 === chunk.length
        this.#line = onlyCr ? 'cr' : 'text'
        return chunk
      }
      const isEmpty = lf === at ? this.#line !== 'text' : this.#line === 'nothing' && chunk[at] === CR && lf === at + 1
      at = lf + 1
      this.#line = 'nothing'
      if (this.#inHeader) {
        if (isEmpty) {
          this.#inHeader = false
          this.#done = this.#linesLeft === 0
        }
      } else this.#done = --this.#linesLeft === 0
    }
    return chunk.subarray(0, at)
  }
}
