import type { MessageList } from '../store/types.ts'
import { Slice } from './slice.ts'

/** A message that is gone and still has its number: its last record is in `list` at `index`. */
export interface Ghost {
  readonly position: number
  readonly list: MessageList
  readonly index: number
}

/**
 * The ghosts of a numbering. Position p of the numbering is that of a ghost, or the message at index p - (ghosts below p) of the list
 * without them.
 */
export class Ghosts {
  /** By position. */
  readonly #all: readonly Ghost[]

  constructor(all: readonly Ghost[] = []) {
    this.#all = all
  }

  get count(): number {
    return this.#all.length
  }

  /** Ghosts with a lower position. */
  below(position: number): number {
    return firstIndex(this.#all.length, (at) => this.#all[at]!.position >= position)
  }

  at(position: number): Ghost | undefined {
    const ghost = this.#all[this.below(position)]
    return ghost?.position === position ? ghost : undefined
  }

  /** Position of what has this index in the list without ghosts. */
  positionOf(index: number): number {
    return index + firstIndex(this.#all.length, (at) => this.#all[at]!.position - at > index)
  }

  descending(): readonly Ghost[] {
    return this.#all.toReversed()
  }

  /** These, and what was at `indexes` (ascending) of the list without them. */
  async with(list: MessageList, indexes: readonly number[]): Promise<Ghosts> {
    const more: Ghost[] = []
    const slice = new Slice()
    for (const index of indexes) {
      more.push({ position: this.positionOf(index), list, index })
      if (slice.isOver()) await slice.next()
    }
    if (this.#all.length === 0) return new Ghosts(more)
    return new Ghosts([...this.#all, ...more].sort((a, b) => a.position - b.position))
  }
}

/** The first index that is `beyond`, as all behind it are; `count` where none is. */
function firstIndex(count: number, beyond: (index: number) => boolean): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (beyond(middle)) high = middle
    else low = middle + 1
  }
  return low
}
