import { crc32 } from 'node:zlib'
import { breath } from '../breath.ts'

const namesPerTurn = 5000

/** Which names a long list has: four octets for each slot, whatever the names weigh. */
export class FileIndex {
  private readonly nameAt: (position: number) => string
  private readonly slots: Uint32Array
  private readonly mask: number

  private constructor(count: number, nameAt: (position: number) => string) {
    this.nameAt = nameAt
    let size = 16
    while (size < 2 * count) size *= 2
    this.slots = new Uint32Array(size)
    this.mask = size - 1
  }

  /** Of the names at positions 0 to `count` - 1, which stay what they are. `twice` is told of names that come again. */
  static async of(
    count: number,
    nameAt: (position: number) => string,
    twice: (position: number) => void = () => {},
  ): Promise<FileIndex> {
    const index = new FileIndex(count, nameAt)
    for (let position = 0; position < count; position += 1) {
      const slot = index.slotOf(nameAt(position))
      if (index.slots[slot] === 0) index.slots[slot] = position + 1
      else twice(position)
      if (position % namesPerTurn === namesPerTurn - 1) await breath()
    }
    return index
  }

  has(name: string): boolean {
    return this.slots[this.slotOf(name)] !== 0
  }

  /** The slot that has this name, or the empty one where it would be. */
  private slotOf(name: string): number {
    for (let slot = crc32(name) & this.mask; ; slot = (slot + 1) & this.mask) {
      const taken = this.slots[slot]!
      if (taken === 0 || this.nameAt(taken - 1) === name) return slot
    }
  }
}
