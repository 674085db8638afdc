import { describe, expect, it } from 'vitest'
import { SyntaxFault } from '#src/base/errors.ts'
import { endsOf, formatEsearch, partOf, readReturnOptions } from '#src/proto/imap/search-return.ts'
import { TokenReader } from '#src/proto/imap/token-reader.ts'

const options = (text: string) => readReturnOptions(new TokenReader({ pieces: [text], literals: [] }))
const nothing = {
  min: undefined,
  max: undefined,
  count: undefined,
  all: undefined,
  modSeq: undefined,
  partial: undefined,
}
const esearch = (uid: boolean, data: Partial<Parameters<typeof formatEsearch>[2]>) =>
  [...formatEsearch('A01', uid, { ...nothing, ...data })].join('')

describe('return options', () => {
  it('stand for ALL when there are none (RFC 4731 §3.1)', () => {
    expect(options(' RETURN ()')).toEqual({ words: new Set(['ALL']), partial: undefined })
    expect(options(' return (min Save)')).toEqual({ words: new Set(['MIN', 'SAVE']), partial: undefined })
    expect(options(' ALL')).toBeUndefined()
  })

  it('hold one range counted from one side, and no ALL beside it (RFC 9394 §3.1)', () => {
    expect(options(' RETURN (PARTIAL -1:-100)')?.partial).toEqual({ first: -1, last: -100 })
    expect(options(' RETURN (COUNT PARTIAL 500:1)')).toEqual({
      words: new Set(['COUNT']),
      partial: { first: 500, last: 1 },
    })
    for (const bad of [
      '(PARTIAL 1:-1)',
      '(PARTIAL 1:*)',
      '(PARTIAL 0:5)',
      '(PARTIAL 5)',
      '(PARTIAL)',
      '(PARTIAL 1:2 ALL)',
      '(ALL PARTIAL 1:2)',
      '(PARTIAL 1:2 PARTIAL 3:4)',
      '(MIN',
      '(MIN, MAX)',
      'MIN',
      '(FIRST)',
    ])
      expect(() => options(` RETURN ${bad}`), bad).toThrow(SyntaxFault)
  })
})

it('takes the part of the results that is there', () => {
  const results = [10, 20, 30, 40, 50]
  expect(partOf(results, { first: 1, last: 2 })).toEqual([10, 20])
  expect(partOf(results, { first: 9, last: 4 })).toEqual([40, 50])
  expect(partOf(results, { first: 6, last: 7 })).toEqual([])
  expect(partOf(results, { first: -1, last: -2 })).toEqual([40, 50])
  expect(partOf(results, { first: -9, last: -4 })).toEqual([10, 20])
  expect(partOf(results, { first: -6, last: -7 })).toEqual([])
  expect(partOf([], { first: -1, last: -1 })).toEqual([])
})

it('tells how many results are needed', () => {
  const ends = (text: string) => endsOf(options(` RETURN (${text})`)!)
  expect(ends('MIN')).toEqual({ first: 1, last: 0 })
  expect(ends('MAX SAVE')).toEqual({ first: 0, last: 1 })
  expect(ends('MIN PARTIAL 200:101')).toEqual({ first: 200, last: 0 })
  expect(ends('PARTIAL -1:-50')).toEqual({ first: 0, last: 50 })
  expect(ends('MIN PARTIAL -1:-50')).toEqual({ first: 1, last: 50 })
  for (const all of ['ALL', 'SAVE', 'MIN COUNT', 'MIN MAX ALL', 'MAX UPDATE', ''])
    expect([all, ends(all)]).toEqual([all, undefined])
})

it('answers in the form of RFC 4466 §2.6.2', () => {
  expect(esearch(false, { min: 2, count: 3 })).toBe('* ESEARCH (TAG "A01") MIN 2 COUNT 3\r\n')
  expect(esearch(true, {})).toBe('* ESEARCH (TAG "A01") UID\r\n')
  expect(esearch(false, { all: [2, 10, 11] })).toBe('* ESEARCH (TAG "A01") ALL 2,10:11\r\n')
  expect(esearch(true, { partial: { range: { first: 24000, last: 24500 }, numbers: [] } })).toBe(
    '* ESEARCH (TAG "A01") UID PARTIAL (24000:24500 NIL)\r\n',
  )
  const many = Array.from({ length: 20_000 }, (_, index) => 2 * index + 1)
  expect(esearch(false, { all: many })).toBe(`* ESEARCH (TAG "A01") ALL ${many.join(',')}\r\n`)
})
