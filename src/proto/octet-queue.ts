/**
 * Octets received and not consumed yet, taken out again as lines or as counted runs: the bottom of every push parser
 * of this room. Work is linear in the octets whatever the sizes of the pieces they arrive in.
 */

const lf = 0x0a
/** Pieces below this are joined, so that a peer sending single octets can't make us hold one object for each. */
const smallOctets = 512

export class OctetQueue {
  readonly #chunks: Buffer[] = []
  #length = 0
  /** Octets at the front that are known to hold no LF. */
  #scanned = 0

  /** Octets held. */
  get length(): number {
    return this.#length
  }

  /** Takes over `octets`: the caller must not change them afterwards. */
  push(octets: Buffer): void {
    if (octets.length === 0) return
    const last = this.#chunks.at(-1)
    if (last !== undefined && last.length < smallOctets && octets.length < smallOctets)
      this.#chunks[this.#chunks.length - 1] = Buffer.concat([last, octets])
    else this.#chunks.push(octets)
    this.#length += octets.length
  }

  /**
   * Everything up to and including the next LF, or undefined when none is there yet (then `length` is what the
   * unfinished line has so far: compare it with the limit).
   */
  takeLine(): Buffer | undefined {
    let base = 0
    for (const chunk of this.#chunks) {
      const end = base + chunk.length
      if (end > this.#scanned) {
        const at = chunk.indexOf(lf, Math.max(0, this.#scanned - base))
        if (at >= 0) return this.#remove(base + at + 1)
        this.#scanned = end
      }
      base = end
    }
    return undefined
  }

  /** Up to `maxOctets` octets as they lie in memory (no joining), or undefined when nothing is there. */
  take(maxOctets: number): Buffer | undefined {
    const first = this.#chunks[0]
    if (first === undefined || maxOctets <= 0) return undefined
    return this.#remove(Math.min(first.length, maxOctets))
  }

  /** What `take` would give, left where it is. */
  peek(): Buffer | undefined {
    return this.#chunks[0]
  }

  /** Exactly `octets` octets in one piece; that many must be there. */
  takeExactly(octets: number): Buffer {
    if (octets > this.#length) throw new RangeError(`${octets} octets wanted of ${this.#length}`)
    return this.#remove(octets)
  }

  #remove(count: number): Buffer {
    const parts: Buffer[] = []
    let left = count
    let whole = 0
    while (left > 0) {
      const chunk = this.#chunks[whole]!
      if (chunk.length > left) {
        parts.push(chunk.subarray(0, left))
        this.#chunks[whole] = chunk.subarray(left)
        break
      }
      parts.push(chunk)
      left -= chunk.length
      whole++
    }
    this.#chunks.splice(0, whole)
    this.#length -= count
    this.#scanned = Math.max(0, this.#scanned - count)
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts, count)
  }
}
