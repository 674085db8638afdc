import { describe, expect, it } from 'vitest'
import { type PlanInput, plan } from '#gateway/sync/plan.ts'
import type { ModSeq, Uid } from '#src/base/ids.ts'
import type { ExpungeCause } from '#src/store/types.ts'

const entry = (n: number) => ({ number: n, origin: `o${n}`, uidl: `u${n}` })
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)
const present = (...numbers: number[]) => new Map(numbers.map((n) => [`o${n}`, n as Uid]))
const departed = (cause: ExpungeCause, ...numbers: number[]) =>
  new Map(numbers.map((n) => [`o${n}`, { present: false as const, uid: n as Uid, cause, modSeq: n as ModSeq }]))
const day = 86_400

const input = (changes: Partial<PlanInput>): PlanInput => ({
  listed: [],
  complete: true,
  expires: false,
  present: present(),
  departed: new Map(),
  memory: { keeps: true },
  policy: { fetchLastN: 0, ignoreFrontendDeletes: false },
  now: 1_000_000,
  ...changes,
})

describe('plan', () => {
  it('fetches what is neither present nor departed, in the order of the backend', () => {
    const steps = plan(input({ listed: [3, 1, 2, 4].map(entry), present: present(1), departed: departed('client', 2) }))
    expect(steps.fetch.map(({ number }) => number)).toEqual([3, 4])
    expect(steps.deleteThere.map(({ number }) => number)).toEqual([2])
    expect(steps.forget).toEqual([])
  })

  it('forgets a departed message only when the backend lists it no more', () => {
    const steps = plan(input({ listed: [entry(1)], present: present(1), departed: departed('client', 2) }))
    expect(steps.forget).toEqual(['o2'])
    expect(plan(input({ listed: [entry(1)], complete: false, departed: departed('client', 2) })).forget).toEqual([])
  })

  it('a message that vanished there leaves here', () => {
    const steps = plan(input({ listed: range(2, 20).map(entry), present: present(...range(1, 20)) }))
    expect(steps.expungeHere).toEqual([1])
    expect(steps.held).toBe(0)
  })

  it('the last one or few of a small mailbox leave as well, as long as something is left', () => {
    expect(plan(input({ listed: [entry(1)], present: present(1, 2, 3) })).expungeHere).toEqual([2, 3])
  })

  it.each([
    ['an empty listing', { listed: [], present: present(1) }],
    ['half a listing', { listed: range(1, 10).map(entry), present: present(...range(1, 30)) }],
    ['an incomplete listing', { listed: [entry(1)], complete: false, present: present(1, 2) }],
    ['a server that expires mail', { listed: [entry(1)], expires: true, present: present(1, 2) }],
    [
      'a backend that never kept a retrieved message',
      { listed: [entry(9)], present: present(1, 2), memory: { keeps: false } },
    ],
  ])('%s deletes nothing here (B7, P8)', (_, changes) => {
    const steps = plan(input(changes))
    expect(steps.expungeHere).toEqual([])
    expect(steps.forget).toEqual([])
    expect(steps.held).toBeGreaterThan(0)
  })

  it('an empty listing is believed after three sessions and a day, all agreeing', () => {
    let memory: PlanInput['memory'] = { keeps: true }
    const look = (now: number, changes: Partial<PlanInput> = {}) => {
      const steps = plan(input({ present: present(1, 2), memory, now, ...changes }))
      memory = steps.memory
      return steps.expungeHere
    }
    expect(look(0)).toEqual([])
    expect(look(300)).toEqual([])
    expect(look(600)).toEqual([])
    // The mail is back: the count begins again.
    expect(look(900, { listed: [1, 2].map(entry) })).toEqual([])
    expect(memory).toEqual({ keeps: true })
    expect(look(1_000)).toEqual([])
    expect(look(1_000 + day)).toEqual([])
    expect(look(1_001 + day, { complete: false })).toEqual([])
    expect(look(1_002 + day)).toEqual([1, 2])
    expect(memory).toEqual({ keeps: true })
  })

  it('a message that vanished, left here and is listed again comes back', () => {
    const steps = plan(input({ listed: [entry(1)], departed: departed('backend', 1) }))
    expect(steps.readmit).toEqual(['o1'])
    expect(steps.fetch.map(({ number }) => number)).toEqual([1])
  })

  it('GW-20, GW-21: the newest N; older ones are pushed out, and come back when N grows', () => {
    const listed = range(1, 5).map(entry)
    const steps = plan(
      input({ listed, present: present(1, 2, 3, 4), policy: { fetchLastN: 3, ignoreFrontendDeletes: false } }),
    )
    expect(steps.fetch.map(({ number }) => number)).toEqual([5])
    expect(steps.pushOut).toEqual([1, 2])
    expect(steps.deleteThere).toEqual([])
    const grown = plan(input({ listed, present: present(3, 4, 5), departed: departed('window', 1, 2) }))
    expect(grown.readmit).toEqual(['o1', 'o2'])
  })

  it('GW-08: with ignore_frontend_deletes nothing is deleted there, and nothing fetched again', () => {
    const policy = { fetchLastN: 0, ignoreFrontendDeletes: true }
    const steps = plan(input({ listed: [entry(1)], departed: departed('client', 1), policy }))
    expect([steps.deleteThere, steps.fetch, steps.forget]).toEqual([[], [], []])
  })
})
