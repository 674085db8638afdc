import { expect, it } from 'vitest'
import { hashOrigin } from '#src/store/origin-index.ts'
import { OriginMap } from '#src/store/origin-map.ts'

const originOf = (number: number) => `pop.example.net:lena:${number.toString(36)}`

it('holds what a Map would, while it grows and shrinks', () => {
  const map = new OriginMap<number>()
  const model = new Map<string, number>()
  for (let number = 0; number < 30_000; number += 1) {
    map.set(originOf(number), number)
    model.set(originOf(number), number)
    if (number % 3 === 0) {
      const other = originOf(number / 3)
      expect(map.delete(other)).toBe(model.delete(other))
    }
    if (number % 5 === 0) {
      map.set(originOf(number - 1), -number)
      model.set(originOf(number - 1), -number)
    }
  }
  expect(map.size).toBe(model.size)
  expect(new Map(map)).toEqual(model)
  for (let number = -1; number <= 30_000; number += 7) {
    expect(map.get(originOf(number))).toBe(model.get(originOf(number)))
    expect(map.has(originOf(number))).toBe(model.has(originOf(number)))
  }
})

it('who reads sees nothing of what changes meanwhile', () => {
  const map = new OriginMap<number>()
  for (let number = 0; number < 5000; number += 1) map.set(originOf(number), number)
  const entries = map.entries()
  const before = new Map(entries)
  for (let number = 0; number < 9000; number += 1)
    if (number % 2 === 0) map.set(originOf(number), -1)
    else map.delete(originOf(number))
  expect(new Map(entries)).toEqual(before)
  expect(map.size).toBe(4500)
})

it('tells origins with the same hash apart', () => {
  const byHash = new Map<number, string>()
  let pair: [string, string] | undefined
  for (let number = 0; pair === undefined; number += 1) {
    const [origin, hash] = [originOf(number), hashOrigin(originOf(number))]
    const other = byHash.get(hash)
    if (other !== undefined) pair = [other, origin]
    byHash.set(hash, origin)
  }
  const map = new OriginMap<number>()
  map.set(pair[0], 1)
  expect([map.has(pair[1]), map.delete(pair[1])]).toEqual([false, false])
  map.set(pair[1], 2)
  map.set(pair[0], 3)
  expect([map.size, map.get(pair[0]), map.get(pair[1])]).toEqual([2, 3, 2])
  expect([...map].sort(([, a], [, b]) => a - b)).toEqual([
    [pair[1], 2],
    [pair[0], 3],
  ])
  expect([map.delete(pair[0]), map.get(pair[0]), map.get(pair[1]), map.size]).toEqual([true, undefined, 2, 1])
  expect([map.delete(pair[1]), map.size]).toEqual([true, 0])
})
