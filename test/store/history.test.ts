import { expect, it } from 'vitest'
import type { ModSeq, Uid } from '#src/base/ids.ts'
import { History } from '#src/store/history.ts'
import { StoredMessages } from '#src/store/message-list.ts'
import type { UidRange } from '#src/store/types.ts'
import { AscendingRanges, isAmong, joinRanges, withoutRanges } from '#src/store/uid-set.ts'
import { VanishedRanges } from '#src/store/vanished.ts'
import { mulberry32 } from '#test/support/random.ts'

const range = (first: number, last: number) => ({ first: first as Uid, last: last as Uid })

it('what left is told in ranges, however many UIDs they span', () => {
  const history = new History()
  const ranges = new VanishedRanges()
  for (const [first, last, modSeq] of [
    [4_294_967_294, 4_294_967_294, 3],
    [1, 4_000_000_000, 5],
    [4_000_000_003, 4_000_000_003, 7],
    [4_000_000_001, 4_000_000_002, 8],
  ])
    ranges.add(first as Uid, last as Uid, modSeq as ModSeq)
  history.load({ ranges, count: ranges.length, joinAbove: 4096 })
  history.complete(9 as ModSeq)
  const since = (modSeq: number) => [
    ...history.delta(modSeq as ModSeq, 9 as ModSeq, new StoredMessages([], [])).expunged(),
  ]
  expect(since(4)).toEqual([range(1, 4_000_000_003)])
  expect(since(6)).toEqual([range(4_000_000_001, 4_000_000_003)])
  expect(since(2)).toEqual([range(1, 4_000_000_003), range(4_294_967_294, 4_294_967_294)])
})

it('ranges are joined where they touch or overlap', () => {
  const joined = joinRanges([range(9, 9), range(1, 3), range(2, 2), range(4, 5), range(7, 7)])
  expect(joined).toEqual([range(1, 5), range(7, 7), range(9, 9)])
  expect([0, 1, 5, 6, 7, 8, 9, 10].map((uid) => isAmong(joined, uid as Uid))).toEqual([
    false,
    true,
    true,
    false,
    true,
    false,
    true,
    false,
  ])
})

it('ascending ranges are found among many', () => {
  const ranges = new AscendingRanges()
  for (let uid = 10; uid <= 100_000; uid += 10) ranges.add(range(uid, uid + (uid % 3)))
  expect(ranges.length).toBe(10_000)
  const isIn = (uid: number) => {
    const before = uid - (uid % 10)
    return before >= 10 && before <= 100_000 && uid <= before + (before % 3)
  }
  const uids = Array.from({ length: 100_020 }, (_, uid) => uid)
  expect(uids.filter((uid) => ranges.has(uid) !== isIn(uid))).toEqual([])
})

it('takes ranges out of ranges', () => {
  const random = mulberry32(5)
  const uidsOf = (ranges: readonly UidRange[]) =>
    ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, at) => first + at))
  const some = () =>
    joinRanges(Array.from({ length: 40 }, (_, uid) => range(uid + 1, uid + 1)).filter(() => random() < 0.5))
  for (let turn = 0; turn < 200; turn += 1) {
    const [all, others] = [some(), some()]
    const left = withoutRanges(all, others)
    const gone = new Set(uidsOf(others))
    expect(uidsOf(left)).toEqual(uidsOf(all).filter((uid) => !gone.has(uid)))
    expect(joinRanges(left)).toEqual(left)
  }
})
