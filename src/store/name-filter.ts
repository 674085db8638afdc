/** Bits of the filter for each name: some 2 in 1,000 names that were never added are taken for one that was. */
const bitsPerName = 16
const probes = 4

/** A Bloom filter: tells names that were never added from those that may have been, in two octets a name. */
export class NameFilter {
  private readonly words: Uint32Array

  /** `count`: names that will be added. */
  constructor(count: number) {
    this.words = new Uint32Array(2 ** Math.ceil(Math.log2((count * bitsPerName) / 32 + 1)))
  }

  add(name: string): void {
    for (const bit of this.bitsOf(name)) this.words[bit >>> 5]! |= 1 << (bit & 31)
  }

  mayHave(name: string): boolean {
    return this.bitsOf(name).every((bit) => (this.words[bit >>> 5]! & (1 << (bit & 31))) !== 0)
  }

  /** Kirsch and Mitzenmacher, "Less Hashing, Same Performance": two hashes (FNV-1a) make all of them. */
  private bitsOf(name: string): number[] {
    let one = 0x811c9dc5
    let other = 0x9747b28c
    for (let at = 0; at < name.length; at += 1) {
      const code = name.charCodeAt(at)
      one = Math.imul(one ^ code, 0x01000193)
      other = Math.imul(other ^ code, 0x01000193)
    }
    const bits = this.words.length * 32
    return Array.from({ length: probes }, (_, probe) => ((one + Math.imul(probe, other | 1)) >>> 0) & (bits - 1))
  }
}
