import { expect, it } from 'vitest'
import { costOf, duration, type Load, msOf } from '#migrate/waves/forecast.ts'

const mega = 1 << 20
const truth = { account: 400, message: 7, mb: 90, measured: 0 }
const accounts = Array.from({ length: 40 }, (_, n) => ({ messages: (n * 37) % 101, octets: ((n * 53) % 29) * 300_000 }))

it('finds out what a user, a message and a MB cost, of pulls that cost just that', () => {
  const cost = costOf(accounts.map((account, at) => ({ ...account, at: at * 10_000, ms: msOf(truth, account) })))
  expect(cost.account).toBeCloseTo(400, 3)
  expect(cost.message).toBeCloseTo(7, 3)
  expect(cost.mb).toBeCloseTo(90, 3)
  expect(cost.measured).toBe(20)
})

it('forecasts a sum within a tenth, of a few pulls whose times vary by a third', () => {
  const noisy = (account: Load, n: number) => msOf(truth, account) * (1 + (((n * 7919) % 13) / 6 - 1) / 3)
  const cost = costOf(
    accounts.slice(0, 20).map((account, at) => ({ ...account, at: at * 10_000, ms: noisy(account, at) })),
  )
  const rest = accounts.slice(20)
  const sum = rest.reduce((total, account, n) => total + noisy(account, n + 20), 0)
  const forecast = rest.reduce((total, account) => total + msOf(cost, account), 0)
  expect(Math.abs(forecast / sum - 1)).toBeLessThan(0.1)
})

it('goes by the later pulls, whatever the first ones after a start cost', () => {
  const cost = costOf(
    accounts.map((account, at) => ({ ...account, at: at * 10_000, ms: msOf(truth, account) * (at < 20 ? 3 : 1) })),
  )
  expect(msOf(cost, { messages: 50, octets: mega })).toBeCloseTo(msOf(truth, { messages: 50, octets: mega }), 3)
})

it('counts a pull that began among the first ones by the part of it that came later', () => {
  // Four at a time. Whoever pulls in the first ten seconds takes four times as long as it will take.
  const pulls: { at: number; ms: number; messages: number; octets: number }[] = []
  const slots = [0, 0, 0, 0]
  for (let user = 0; user < 20; user++) {
    const slot = slots.indexOf(Math.min(...slots))
    const began = slots[slot]!
    const [slow, work] = [10_000, 1_000]
    const doneSlowly = Math.min(work, Math.max(0, slow - began) / 4)
    const ms = doneSlowly * 4 + (work - doneSlowly)
    slots[slot] = began + ms
    pulls.push({ at: began + ms, ms, messages: 0, octets: 0 })
  }
  // Two of the later ten took 2.5 seconds, and ended with the first ten.
  expect(msOf(costOf(pulls), { messages: 0, octets: 0 })).toBeCloseTo(1_000, 3)
})

it('gives no negative cost, and tells a guess from a measurement', () => {
  // The more messages, the less time: what a user costs is all that can be said.
  const cost = costOf([1, 2, 3, 4, 5, 6].map((n) => ({ at: n * 10_000, messages: n * 10, octets: 0, ms: 1_000 - n })))
  expect(Math.min(cost.account, cost.message, cost.mb)).toBeGreaterThanOrEqual(0)
  expect(msOf(cost, { messages: 30, octets: 0 })).toBeCloseTo(996, 0)
  expect(costOf([]).measured).toBe(0)
  const few = costOf([{ at: 0, messages: 100, octets: mega, ms: 8_500 }])
  expect(msOf(few, { messages: 100, octets: mega })).toBeCloseTo(8_500, 3)
})

it('lets users take their turns within the limits', async () => {
  const jobs = (host: string, ...times: readonly number[]) => times.map((ms) => ({ host, ms }))
  expect(await duration(jobs('a', 3, 3, 2, 2), 2, 0)).toBe(5)
  expect(await duration(jobs('a', 1, 1, 10), 2, 0)).toBe(11)
  expect(await duration([...jobs('a', 4, 4), ...jobs('b', 4)], 3, 1)).toBe(8)
  expect(await duration([...jobs('a', 4, 4), ...jobs('b', 4)], 3, 0)).toBe(4)
  expect(await duration([], 4, 0)).toBe(0)
})

it('looks at each of very many once, and others get their turn meanwhile', async () => {
  let looks = 0
  const jobs = Array.from({ length: 50_000 }, (_, n) => ({
    host: `h${n % 5}`,
    get ms() {
      looks += 1
      return n % 100
    },
  }))
  let turns = 0
  let isDone = false
  const others = () => {
    turns += 1
    if (!isDone) setImmediate(others)
  }
  setImmediate(others)
  await duration(jobs, 8, 2)
  isDone = true
  expect(looks).toBe(jobs.length)
  expect(turns).toBeGreaterThan(1)
})
