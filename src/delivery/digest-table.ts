/** Digests and two times of each, some millions of them in memory: 20 octets an entry, and room between them. */

/** Words of an entry: three of the digest, and the times. */
const words = 5
const firstRoom = 1024

export class DigestTable {
  private entries = new Uint32Array(firstRoom * words)
  private room = firstRoom
  private count = 0

  /** Of the latest `set`; seconds since 1970. `digest`: at least 12 octets. */
  get(digest: Buffer): { readonly at: number; readonly until: number } | undefined {
    const index = this.indexOf(digest)
    const until = this.entries[index + 4]!
    return until === 0 ? undefined : { at: this.entries[index + 3]!, until }
  }

  /** `until` is above 0. What counts no longer at `now` may go. */
  set(digest: Buffer, at: number, until: number, now: number): void {
    if (this.count * 2 >= this.room) this.rebuild(now)
    const index = this.indexOf(digest)
    if (this.entries[index + 4] === 0) this.count += 1
    for (let word = 0; word < 3; word += 1) this.entries[index + word] = digest.readUInt32LE(4 * word)
    this.entries[index + 3] = at
    this.entries[index + 4] = until
  }

  /** Of the entry, or of the free place where it would be. */
  private indexOf(digest: Buffer): number {
    const [first, second, third] = [digest.readUInt32LE(0), digest.readUInt32LE(4), digest.readUInt32LE(8)]
    const { entries, room } = this
    for (let place = first % room; ; place = (place + 1) % room) {
      const index = place * words
      if (entries[index + 4] === 0) return index
      if (entries[index] === first && entries[index + 1] === second && entries[index + 2] === third) return index
    }
  }

  private rebuild(now: number): void {
    const before = this.entries
    const kept: number[] = []
    for (let index = 0; index < before.length; index += words) if (before[index + 4]! > now) kept.push(index)
    this.room = Math.max(firstRoom, 2 ** Math.ceil(Math.log2(kept.length * 4 + 1)))
    this.entries = new Uint32Array(this.room * words)
    this.count = kept.length
    for (const index of kept) {
      let place = before[index]! % this.room
      while (this.entries[place * words + 4] !== 0) place = (place + 1) % this.room
      this.entries.set(before.subarray(index, index + words), place * words)
    }
  }
}
