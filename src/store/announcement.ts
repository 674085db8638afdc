/** Messages that another server lists and that are to come. They are many, so they are told in columns. docs/decisions/0024-announced-messages.md */

import { StoreError } from '../base/errors.ts'
import { withRoom } from './columns.ts'
import { checkNumbers, checkOrigin } from './message-file.ts'
import type { Flag } from './types.ts'

const firstRows = 1024
const maxNumber = 0xffffffff

/** Row n of each column is message n. */
export class Announcement {
  /** What all origins begin with; each has its number in decimal behind it. */
  readonly prefix: string
  /** The numbers are UIDs: each message has its own here where it is free, as `NewMessage.uid` tells. */
  readonly givesUids: boolean
  count = 0
  numbers = new Uint32Array(firstRows)
  /** Seconds since 1970. */
  internalDates = new Float64Array(firstRows)
  sizes = new Float64Array(firstRows)
  /** Index in `sets`. */
  flags = new Uint32Array(firstRows)
  sets: readonly (readonly Flag[])[] = []
  private isAscending = true

  /** Throws StoreError invalid for a prefix that no origin can have. */
  constructor(prefix: string, { givesUids = false }: { readonly givesUids?: boolean } = {}) {
    checkOrigin(`${prefix}${maxNumber}`)
    this.prefix = prefix
    this.givesUids = givesUids
  }

  /** `set`: index in `sets`. Throws StoreError invalid. */
  add(number: number, internalDate: number, sizeOctets: number, set: number): void {
    checkNumbers(internalDate, sizeOctets)
    if (!Number.isInteger(number) || number < 0 || number > maxNumber || this.sets[set] === undefined)
      throw new StoreError('invalid', 'An announced message has a number of more than 32 bits, or no flags')
    const row = this.count
    if (row === this.numbers.length) this.makeRoom(2 * row)
    if (row > 0 && number <= this.numbers[row - 1]!) this.isAscending = false
    this.numbers[row] = number
    this.internalDates[row] = internalDate
    this.sizes[row] = sizeOctets
    this.flags[row] = set
    this.count += 1
  }

  /** By number; of those with the same one only the first. */
  ascending(): Announcement {
    if (this.isAscending) return this
    const { prefix, givesUids, numbers } = this
    const sorted = new Announcement(prefix, { givesUids })
    sorted.sets = this.sets
    const rows = Uint32Array.from({ length: this.count }, (_, row) => row)
    for (const row of rows.sort((a, b) => numbers[a]! - numbers[b]! || a - b))
      if (sorted.count === 0 || sorted.numbers[sorted.count - 1] !== numbers[row])
        sorted.add(numbers[row]!, this.internalDates[row]!, this.sizes[row]!, this.flags[row]!)
    return sorted
  }

  private makeRoom(rows: number): void {
    this.numbers = withRoom(this.numbers, rows)
    this.internalDates = withRoom(this.internalDates, rows)
    this.sizes = withRoom(this.sizes, rows)
    this.flags = withRoom(this.flags, rows)
  }
}
