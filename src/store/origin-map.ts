/**
 * A map by origin (or by the hash of one) that grows in small steps and can be read while it changes: half a million origins that left move in
 * one go to no larger table, and nobody copies them. Linear hashing (Litwin, 1980): one part at a time is split in two. A Map whose keys are
 * strings would not do, however small: V8 puts such keys into one table of its own, which it makes anew in one go.
 */

import { hashOrigin } from './origin-index.ts'

/** On the average, when the next part is split. */
const entriesPerPart = 2048

interface Entry<Value> {
  readonly origin: string
  readonly value: Value
  /** Another one with the same hash. */
  readonly next: Entry<Value> | undefined
}

type Part<Value> = Map<number, Entry<Value>>

export class OriginMap<Value> implements Iterable<readonly [origin: string, value: Value]> {
  size = 0
  private readonly parts: Part<Value>[] = [new Map()]
  /** Parts that a reader has: a change makes a copy. */
  private readonly read = new WeakSet<Part<Value>>()

  get(origin: string): Value | undefined {
    const hash = hashOf(origin)
    return find(this.parts[this.indexOf(hash)]!.get(hash), origin)?.value
  }

  has(origin: string): boolean {
    const hash = hashOf(origin)
    return find(this.parts[this.indexOf(hash)]!.get(hash), origin) !== undefined
  }

  set(origin: string, value: Value): void {
    const hash = hashOf(origin)
    const part = this.partToChange(hash)
    const before = part.get(hash)
    if (find(before, origin) === undefined) this.size += 1
    part.set(hash, { origin, value, next: without(before, origin) })
    if (this.size > this.parts.length * entriesPerPart) this.split()
  }

  delete(origin: string): boolean {
    if (!this.has(origin)) return false
    const hash = hashOf(origin)
    const part = this.partToChange(hash)
    const rest = without(part.get(hash), origin)
    if (rest === undefined) part.delete(hash)
    else part.set(hash, rest)
    this.size -= 1
    return true
  }

  /** As it is now, whatever happens to the map meanwhile. */
  entries(): Iterable<readonly [origin: string, value: Value]> {
    const parts = [...this.parts]
    for (const part of parts) this.read.add(part)
    return {
      *[Symbol.iterator]() {
        for (const part of parts)
          for (const first of part.values())
            for (let entry: Entry<Value> | undefined = first; entry !== undefined; entry = entry.next)
              yield [entry.origin, entry.value]
      },
    }
  }

  [Symbol.iterator](): Iterator<readonly [origin: string, value: Value]> {
    return this.entries()[Symbol.iterator]()
  }

  private indexOf(hash: number): number {
    const count = this.parts.length
    const half = halfOf(count)
    const index = hash & (2 * half - 1)
    return index < count ? index : hash & (half - 1)
  }

  private partToChange(hash: number): Part<Value> {
    const index = this.indexOf(hash)
    const part = this.parts[index]!
    if (!this.read.has(part)) return part
    const copy = new Map(part)
    this.parts[index] = copy
    return copy
  }

  private split(): void {
    const half = halfOf(this.parts.length)
    const index = this.parts.length - half
    const stays: Part<Value> = new Map()
    const moves: Part<Value> = new Map()
    for (const [hash, entry] of this.parts[index]!) ((hash & half) === 0 ? stays : moves).set(hash, entry)
    this.parts[index] = stays
    this.parts.push(moves)
  }
}

/** A small integer. */
const hashOf = (origin: string): number => hashOrigin(origin) | 0

/** The parts that there were when all of them began to be split: the highest power of two in their number. */
const halfOf = (count: number): number => 2 ** (31 - Math.clz32(count))

function find<Value>(first: Entry<Value> | undefined, origin: string): Entry<Value> | undefined {
  let entry = first
  while (entry !== undefined && entry.origin !== origin) entry = entry.next
  return entry
}

function without<Value>(first: Entry<Value> | undefined, origin: string): Entry<Value> | undefined {
  if (find(first, origin) === undefined) return first
  return first!.origin === origin ? first!.next : { ...first!, next: without(first!.next, origin) }
}
