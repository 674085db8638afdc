import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { ModSeq, Uid } from '#src/base/ids.ts'
import { VanishedRanges } from '#src/store/vanished.ts'

/** Change sets that expunge a part each of the UIDs that are left, ascending. */
const expunges = fc.array(fc.record({ step: fc.integer({ min: 1, max: 9 }), from: fc.nat(99) }), {
  minLength: 1,
  maxLength: 40,
})
const uids = 400

function expunged(changes: readonly { readonly step: number; readonly from: number }[]) {
  const ranges = new VanishedRanges()
  /** By UID, when it left. */
  const left = new Map<number, number>()
  for (const [index, { step, from }] of changes.entries())
    for (let uid = 1 + from; uid <= uids; uid += step) {
      if (left.has(uid)) continue
      left.set(uid, index + 1)
      ranges.add(uid as Uid, uid as Uid, (index + 1) as ModSeq)
    }
  return { ranges, left }
}

function uidsOf(ranges: VanishedRanges, since: number): number[] {
  const told: number[] = []
  let before = 0
  for (const { first, last } of ranges.after(since as ModSeq, ranges.length)) {
    expect(first).toBeGreaterThan(before + 1 - Number(before === 0))
    for (let uid = first; uid <= last; uid = (uid + 1) as Uid) told.push(uid)
    before = last
  }
  return told
}

it('what left after a MODSEQ is told, ascending and each once', () => {
  fc.assert(
    fc.property(expunges, fc.nat(40), (changes, since) => {
      const { ranges, left } = expunged(changes)
      const wanted = [...left].filter(([, modSeq]) => modSeq > since).map(([uid]) => uid)
      expect(uidsOf(ranges, since)).toEqual(wanted.sort((a, b) => a - b))
    }),
  )
})

it('joined ranges name all that left and nothing that is there, and the newest quarter is as it was', () => {
  fc.assert(
    fc.property(expunges, fc.nat(40), (changes, since) => {
      const { ranges, left } = expunged(changes)
      const live = Array.from({ length: uids }, (_, at) => at + 1).filter((uid) => !left.has(uid))
      const joining = ranges.joined((from, to) => live.some((uid) => uid > from && uid < to))
      let step = joining.next()
      while (step.done !== true) step = joining.next()
      const joined = step.value
      expect(joined.length).toBeLessThanOrEqual(ranges.length)
      const told = new Set(uidsOf(joined, since))
      expect([...left].filter(([uid, modSeq]) => modSeq > since && !told.has(uid))).toEqual([])
      expect(live.filter((uid) => told.has(uid))).toEqual([])
      const newest = ranges.length === 0 ? 0 : ranges.modSeq(Math.floor(ranges.length * 0.75))
      expect(uidsOf(joined, newest)).toEqual(uidsOf(ranges, newest))
    }),
  )
})

it('ranges that one after the other left are joined to one', () => {
  const ranges = new VanishedRanges()
  const count = 10_000
  for (let uid = 1; uid <= count; uid += 1) ranges.add(uid as Uid, uid as Uid, uid as ModSeq)
  expect(ranges.length).toBe(count)
  const joining = ranges.joined(() => false)
  let step = joining.next()
  while (step.done !== true) step = joining.next()
  const joined = step.value
  expect([joined.length, joined.first(0), joined.last(0), joined.modSeq(0)]).toEqual([2501, 1, 7500, 7500])
  expect([...joined.after(0 as ModSeq, joined.length)]).toEqual([{ first: 1, last: count }])
})

it('who reads sees nothing of what leaves meanwhile', () => {
  const ranges = new VanishedRanges()
  for (let uid = 1; uid <= 9; uid += 2) ranges.add(uid as Uid, uid as Uid, 1 as ModSeq)
  const seen = ranges.after(0 as ModSeq, ranges.length)
  for (let uid = 10; uid <= 5000; uid += 2) ranges.add(uid as Uid, uid as Uid, 2 as ModSeq)
  expect([...seen].map(({ first }) => first)).toEqual([1, 3, 5, 7, 9])
})
