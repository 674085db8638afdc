import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  countIndexes,
  formatNumbers,
  formatSequenceSet,
  indexesOf,
  namesMissing,
  parseSequenceSet,
  resolveSequenceNumbers,
  resolveUids,
  type SequenceSet,
  star,
} from '#src/proto/imap/sequence-set.ts'

const set = (text: string): SequenceSet => {
  const parsed = parseSequenceSet(text)
  if (parsed === undefined) throw new Error(`no set: ${text}`)
  return parsed
}
const numbers = (text: string, count: number) =>
  [...indexesOf(resolveSequenceNumbers(set(text), count))].map((at) => at + 1)
const uids = (text: string, present: readonly number[]) =>
  [...indexesOf(resolveUids(set(text), present.length, (at) => present[at]!))].map((at) => present[at])

describe('sequence sets', () => {
  it('resolve as the examples of RFC 9051 §9 rules seq-range, sequence-set', () => {
    expect(numbers('2,4:7,9,12:*', 15)).toEqual([2, 4, 5, 6, 7, 9, 12, 13, 14, 15])
    expect(numbers('*:4,5:7', 10)).toEqual([4, 5, 6, 7, 8, 9, 10])
    expect(numbers('2:4', 10)).toEqual(numbers('4:2', 10))
    expect(uids('3291:*', [5, 7, 100])).toEqual([100])
  })

  it.each([
    '0',
    '01',
    '1:0',
    '4294967296',
    '',
    ',',
    '1,',
    ',1',
    '1:',
    ':1',
    '1:2:3',
    '**',
    '1 ',
    '-1',
    '1.5',
    '1e3',
    '$',
    '1'.padEnd(400, '0'),
  ])('%j is none', (text) => expect(parseSequenceSet(text)).toBeUndefined())

  it('name messages that are not there by numbers above EXISTS, and in any way when there is none', () => {
    expect(namesMissing(set('1:3'), 3)).toBe(false)
    expect(namesMissing(set('4'), 3)).toBe(true)
    expect(namesMissing(set('4:*'), 3)).toBe(true)
    expect(namesMissing(set('*'), 0)).toBe(true)
    expect(namesMissing(set('*:1'), 3)).toBe(false)
    expect(namesMissing(set('1:*'), 0)).toBe(true)
  })

  const setNumber = fc.oneof(
    fc.integer({ min: 1, max: 30 }),
    fc.integer({ min: 1, max: 0xffffffff }),
    fc.constant(star),
  )
  const anySet = fc.array(fc.record({ first: setNumber, last: setNumber }), { minLength: 1, maxLength: 10 })

  it('come back from their own text', () => {
    fc.assert(
      fc.property(anySet, (value) => {
        expect(parseSequenceSet(formatSequenceSet(value))).toEqual(value)
      }),
    )
  })

  it('resolve to what asking every message gives', () => {
    const mailbox = fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 20 })
    fc.assert(
      fc.property(anySet, mailbox, (value, unsorted) => {
        const present = unsorted.sort((a, b) => a - b)
        const holds = (value_: number, largest: number) =>
          value.some(({ first, last }) => {
            const [a, b] = [first, last].map((end) => (end === star ? largest : end))
            return value_ >= Math.min(a!, b!) && value_ <= Math.max(a!, b!)
          })
        const runs = resolveUids(value, present.length, (at) => present[at]!)
        expect([...indexesOf(runs)].map((at) => present[at])).toEqual(
          present.filter((uid) => holds(uid, present.at(-1)!)),
        )
        const byNumber = resolveSequenceNumbers(value, present.length)
        const expected = present.map((_, at) => at).filter((at) => holds(at + 1, present.length))
        expect([...indexesOf(byNumber)]).toEqual(expected)
        expect(countIndexes(byNumber)).toBe(expected.length)
      }),
    )
  })

  it('join runs that touch', () => {
    expect(resolveSequenceNumbers(set('4,1:2,3'), 10)).toEqual([{ start: 0, end: 4 }])
    expect(resolveUids(set('5:9,1:4,20'), 3, (at) => [2, 7, 30][at]!)).toEqual([{ start: 0, end: 2 }])
  })

  it('H7: the work follows mailbox and text, never the numbers', () => {
    const count = 10_000
    for (const text of ['1:4294967295', '*:1', '1:*,1:*', '4294967295', '1:*,'.repeat(5000).concat('1')]) {
      let looks = 0
      const runs = resolveUids(set(text), count, (at) => {
        looks++
        return 1000 + at * 400_000
      })
      expect(looks).toBeLessThanOrEqual(1 + 2 * 15 * text.split(',').length)
      expect(runs.length).toBeLessThanOrEqual(1)
      expect(resolveSequenceNumbers(set(text), count).length).toBeLessThanOrEqual(1)
    }
  })

  it('fold runs and keep the order (RFC 4315 §3)', () => {
    expect(formatNumbers([304, 319, 320])).toBe('304,319:320')
    expect(formatNumbers([3, 2, 1, 2, 3, 4])).toBe('3,2,1:4')
    expect(formatNumbers([])).toBe('')
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (list) => {
        const unfolded = set(formatNumbers(list)).flatMap(({ first, last }) =>
          Array.from({ length: last - first + 1 }, (_, index) => first + index),
        )
        expect(unfolded).toEqual(list)
      }),
    )
  })
})
