/** Which UID an origin has. A table of UIDs with open addressing: what the origin of a UID is, the messages tell. */

const free = 0
/** No message has this UID. */
const removed = 0xffffffff
const leastSlots = 16

/** 32 bits that tell origins apart well enough to look closer at the rest; never 0. FNV-1a over UTF-16 with the finish of MurmurHash3. */
export const hashOrigin = (origin: string): number => endHash(origin, hashBasis)

const hashBasis = 0x811c9dc5

/** For many origins that begin with this: `endHash` of what is behind it makes `hashOrigin`. */
export function beginHash(text: string, begun = hashBasis): number {
  let hash = begun
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return hash
}

export function endHash(text: string, begun: number): number {
  let hash = beginHash(text, begun)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0 || 1
}

/** UIDs and the hashes of their origins, the first `count` of them; 0 for none. */
export interface HashedUids {
  readonly uids: Uint32Array
  readonly hashes: Uint32Array
  readonly count: number
}

export class OriginIndex {
  private slots: Uint32Array
  /** Not free. */
  private used = 0

  constructor(columns: readonly HashedUids[]) {
    let count = 0
    for (const { hashes, count: rows } of columns)
      for (let row = 0; row < rows; row += 1) if (hashes[row] !== 0) count += 1
    let slots = leastSlots
    while (3 * slots < 5 * count) slots *= 2
    this.slots = new Uint32Array(slots)
    for (const { uids, hashes, count: rows } of columns)
      for (let row = 0; row < rows; row += 1) if (hashes[row] !== 0) this.put(hashes[row]!, uids[row]!)
  }

  /** Too few slots are free for one more: the index is to be made anew. */
  get isFull(): boolean {
    return 4 * (this.used + 1) > 3 * this.slots.length
  }

  get octets(): number {
    return this.slots.byteLength
  }

  /** The UID that `isIt` says yes to. */
  find(hash: number, isIt: (uid: number) => boolean): number | undefined {
    const slot = this.slotOf(hash, isIt)
    return slot === undefined ? undefined : this.slots[slot]
  }

  add(hash: number, uid: number): void {
    this.put(hash, uid)
  }

  remove(hash: number, uid: number): void {
    const slot = this.slotOf(hash, (other) => other === uid)
    if (slot !== undefined) this.slots[slot] = removed
  }

  private slotOf(hash: number, isIt: (uid: number) => boolean): number | undefined {
    const mask = this.slots.length - 1
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const uid = this.slots[at]!
      if (uid === free) return undefined
      if (uid !== removed && isIt(uid)) return at
    }
  }

  private put(hash: number, uid: number): void {
    const mask = this.slots.length - 1
    let at = hash & mask
    while (this.slots[at] !== free) at = (at + 1) & mask
    this.slots[at] = uid
    this.used += 1
  }
}
