import { expect, it } from 'vitest'
import { costOf, duration, type Load, msOf, paceOf, workOf } from '#migrate/waves/forecast.ts'

const mega = 1 << 20
const truth = { account: 400, message: 7, mb: 90, measured: 0 }
const accounts = Array.from({ length: 40 }, (_, n) => ({ messages: (n * 37) % 101, octets: ((n * 53) % 29) * 300_000 }))

it('finds out what a user, a message and a MB cost, of pulls that cost just that', () => {
  const cost = costOf(accounts.map((account, at) => ({ ...account, at: at * 10_000, ms: msOf(truth, account) })))
  expect(cost.account).toBeCloseTo(400, 3)
  expect(cost.message).toBeCloseTo(7, 3)
  expect(cost.mb).toBeCloseTo(90, 3)
  expect(cost.measured).toBe(40)
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

it('tells apart what the first pulls of a process cost more', () => {
  let worked = 0
  const pulls = accounts.map((account, at) => {
    const before = worked
    worked += workOf(account)
    // Somewhat noisy, and twice as much at first.
    const ms = msOf(truth, account) * (1 + Math.exp(-before / 350)) * (1 + (((at * 7919) % 13) / 6 - 1) / 10)
    return { ...account, at: at * 10_000, ms, before }
  })
  const ratio = (all: typeof pulls) =>
    accounts.reduce((sum, account) => sum + msOf(costOf(all), account), 0) /
    accounts.reduce((sum, account) => sum + msOf(truth, account), 0)
  expect(Math.abs(ratio(pulls) - 1)).toBeLessThan(0.1)
  expect(Math.abs(ratio(pulls.slice(0, 15)) - 1)).toBeLessThan(0.2)
})

it('of many pulls goes by the later ones, whatever the others cost', () => {
  const pulls = [...accounts, ...accounts].map((account, at) => ({
    ...account,
    at: at * 10_000,
    ms: msOf(truth, account) * (at < 40 ? 3 : 1),
  }))
  expect(msOf(costOf(pulls), { messages: 50, octets: mega })).toBeCloseTo(
    msOf(truth, { messages: 50, octets: mega }),
    3,
  )
})

it('counts a pull that began among the earlier half by the part of it that came later', () => {
  // Four at a time. Whoever pulls at first takes four times as long as it will take.
  const pulls: { at: number; ms: number; messages: number; octets: number }[] = []
  const slots = [0, 0, 0, 0]
  for (let user = 0; user < 80; user++) {
    const slot = slots.indexOf(Math.min(...slots))
    const began = slots[slot]!
    const [slow, work] = [40_000, 1_000]
    const doneSlowly = Math.min(work, Math.max(0, slow - began) / 4)
    const ms = doneSlowly * 4 + (work - doneSlowly)
    slots[slot] = began + ms
    pulls.push({ at: began + ms, ms, messages: 0, octets: 0 })
  }
  expect(msOf(costOf(pulls), { messages: 0, octets: 0 })).toBeCloseTo(1_000, 3)
})

it('gives no negative cost, and tells a guess from a measurement', () => {
  // The more messages, the less time: what a user costs is all that can be said.
  const cost = costOf([1, 2, 3, 4, 5, 6].map((n) => ({ at: n * 10_000, messages: n * 10, octets: 0, ms: 1_000 - n })))
  expect(Math.min(cost.account, cost.message, cost.mb)).toBeGreaterThanOrEqual(0)
  expect(msOf(cost, { messages: 30, octets: 0 })).toBeCloseTo(996.5, 3)
  expect(costOf([]).measured).toBe(0)
  const few = costOf([{ at: 0, messages: 100, octets: mega, ms: 8_500 }])
  expect(msOf(few, { messages: 100, octets: mega })).toBeCloseTo(8_500, 3)
})

it('finds the pace of pulls together: more of them than places, one in a bad moment, and pauses', async () => {
  const cost = { account: 1_000, message: 0, mb: 0, measured: 40 }
  /** Of 40, four of which end each second. */
  const pulls = (ms: (n: number) => number, gap = 0) =>
    Array.from({ length: 40 }, (_, n) => ({
      at: Math.floor(n / 4) * 1_000 + (n >= 28 ? gap : 0),
      ms: ms(n),
      messages: 0,
      octets: 0,
      host: 'a',
      cost,
    }))
  expect(
    await paceOf(
      pulls(() => 1_000),
      4,
      0,
    ),
  ).toBeCloseTo(1, 2)
  // A day between them.
  expect(
    await paceOf(
      pulls(() => 1_000, 86_400_000),
      4,
      0,
    ),
  ).toBeCloseTo(1, 2)
  const dear = { ...cost, account: 1_600 }
  // Each took longer than a place was held for.
  const overlapping = pulls(() => 1_600).map((pull) => ({ ...pull, cost: dear }))
  expect(await paceOf(overlapping, 4, 0)).toBeCloseTo(1 / 1.6, 1)
  // As told by one that took ten times as long.
  const spoilt = pulls((n) => (n === 25 ? 10_000 : 1_000)).map((pull) => ({
    ...pull,
    cost: { ...cost, account: 1_450 },
  }))
  expect(await paceOf(spoilt, 4, 0)).toBeCloseTo(1 / 1.45, 1)
  expect(await paceOf(overlapping.slice(0, 10), 4, 0)).toBe(1)
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
