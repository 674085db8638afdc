import { describe, expect, it } from 'vitest'
import { uidlInto } from '#gateway/backend/pop3/listing.ts'
import type { Listed, PopClient } from '#gateway/backend/types.ts'
import { identify, type KnownOrigins } from '#gateway/sync/origin.ts'
import { deletionsConfirmed, type PlanInput, plan, retrievalConfirmed, underPolicy } from '#gateway/sync/plan.ts'
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
  away: new Map(),
  awaited: new Set(),
  sizes: new Map(),
  receivedAt: () => 1_000_000,
  memory: { keeps: true },
  policy: { fetchLastN: 0, ignoreFrontendDeletes: false },
  now: 1_000_000,
  ...changes,
})

describe('plan', () => {
  it('100,000 messages hold nobody else up', async () => {
    const url = 'pop://anna%40example.org@pop.example.org/'
    const uidl = (n: number) => `${String(n).padStart(8, '0')}5f3a2b1c9d8e7f60`
    const all = range(1, 100_000)
    const origins = new Map(all.map((n) => [`${url}u:${uidl(n)}`, n as Uid]))
    const known: KnownOrigins = {
      has: (origin) => origins.has(origin),
      all: () => origins.keys(),
      pending: () => false,
      contentDigest: () => undefined,
      headerDigest: async () => undefined,
    }
    const client = { top: async () => {}, retrieve: async () => {} } as unknown as PopClient
    const listed: Listed[] = []
    const sink = uidlInto(listed)
    const body = Buffer.from(all.map((n) => `${n} ${uidl(n)}\r\n`).join(''))
    // The work gives way after 10 ms each: others get a turn again and again, however slow the machine.
    let turns = 0
    let done = false
    const turn = () => {
      turns++
      if (!done) setImmediate(turn)
    }
    setImmediate(turn)
    for (let at = 0; at < body.length; at += 65_536) await sink.write(body.subarray(at, at + 65_536))
    sink.end()
    const parsed = turns
    const identified = await identify(url, listed, known, client)
    const steps = await plan(input({ listed: identified, present: origins }))
    done = true
    expect([listed.length, steps.fetch, steps.expungeHere]).toEqual([100_000, [], []])
    expect(parsed).toBeGreaterThan(1)
    expect(turns - parsed).toBeGreaterThan(4)
  })

  it('fetches what is neither present nor departed, in the order of the backend', async () => {
    const steps = await plan(
      input({ listed: [3, 1, 2, 4].map(entry), present: present(1), departed: departed('client', 2) }),
    )
    expect(steps.fetch.map(({ number }) => number)).toEqual([3, 4])
    expect(steps.deleteThere.map(({ number }) => number)).toEqual([2])
    expect(steps.forget).toEqual([])
  })

  it('forgets a departed message only when the backend lists it no more', async () => {
    const steps = await plan(input({ listed: [entry(1)], present: present(1), departed: departed('client', 2) }))
    expect(steps.forget).toEqual(['o2'])
    expect(
      (await plan(input({ listed: [entry(1)], complete: false, departed: departed('client', 2) }))).forget,
    ).toEqual([])
  })

  it('a message that vanished there leaves here', async () => {
    const steps = await plan(input({ listed: range(2, 20).map(entry), present: present(...range(1, 20)) }))
    expect(steps.expungeHere).toEqual([1])
    expect(steps.held).toBe(0)
  })

  it('the last one or few of a small mailbox leave as well, as long as something is left', async () => {
    expect((await plan(input({ listed: [entry(1)], present: present(1, 2, 3) }))).expungeHere).toEqual([2, 3])
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
  ])('%s deletes nothing here (B7, P8)', async (_, changes) => {
    const steps = await plan(input(changes))
    expect(steps.expungeHere).toEqual([])
    expect(steps.forget).toEqual([])
    expect(steps.held).toBeGreaterThan(0)
  })

  it('an empty listing is believed after three sessions and a day, all agreeing', async () => {
    let memory: PlanInput['memory'] = { keeps: true }
    const look = async (now: number, changes: Partial<PlanInput> = {}) => {
      const steps = await plan(input({ present: present(1, 2), memory, now, ...changes }))
      memory = steps.memory
      return steps.expungeHere
    }
    expect(await look(0)).toEqual([])
    expect(await look(300)).toEqual([])
    expect(await look(600)).toEqual([])
    // The mail is back: the count begins again.
    expect(await look(900, { listed: [1, 2].map(entry) })).toEqual([])
    expect(memory).toEqual({ keeps: true })
    expect(await look(1_000)).toEqual([])
    expect(await look(1_000 + day)).toEqual([])
    expect(await look(1_001 + day, { complete: false })).toEqual([])
    expect(await look(1_002 + day)).toEqual([1, 2])
    expect(memory).toEqual({ keeps: true })
  })

  it('what was deleted here is forgotten as slowly as what is here vanishes', async () => {
    const policy = { fetchLastN: 0, ignoreFrontendDeletes: true }
    const look = (changes: Partial<PlanInput>) =>
      plan(input({ departed: departed('client', ...range(1, 30)), policy, ...changes }))
    for (const listed of [[], range(1, 10).map(entry)]) {
      expect(await look({ listed })).toMatchObject({
        forget: [],
        memory: { missing: { since: 1_000_000, sessions: 1 } },
      })
      const memory = { keeps: true, missing: { since: 1_000_000 - day, sessions: 2 } }
      expect((await look({ listed, memory })).forget).toHaveLength(30 - listed.length)
    }
    expect((await look({ listed: range(3, 30).map(entry) })).forget).toEqual(['o1', 'o2'])
    expect((await look({ listed: range(3, 30).map(entry), expires: true })).forget).toEqual([])
    // What is known to be deleted there is no reason for doubt.
    const deleted = Object.fromEntries(range(1, 30).map((uid) => [uid, 700]))
    expect((await look({ memory: { keeps: false, deleted } })).forget).toHaveLength(30)
  })

  it('a backend keeps what it gave when a message of a session with a confirmed QUIT is listed again', async () => {
    const given = retrievalConfirmed({ keeps: false }, 4 as Uid, 6 as Uid)
    const look = async (...numbers: number[]) =>
      (await plan(input({ listed: numbers.map(entry), present: present(...range(1, 6)), memory: given }))).memory
    expect(await look(1, 2, 3, 6)).toEqual({ ...given, held: 2 })
    expect(await look(4)).toEqual({ keeps: true, provenBelow: 6, held: 1 })
    expect(await look(5)).toEqual({ keeps: true, provenBelow: 6, held: 1 })
  })

  it('what was never listed again after it was given stays, until the backend keeps half of what it gave (P8)', async () => {
    const memory = retrievalConfirmed({ keeps: true }, 4 as Uid, 7 as Uid)
    const look = (memory: PlanInput['memory'], listed: number[], ...here: number[]) =>
      plan(input({ listed: listed.map(entry), present: present(...here), memory }))
    const all = range(1, 6)
    const gone = await look(memory, [1, 2, 3], ...all)
    expect(gone).toMatchObject({ expungeHere: [], held: 3, doubted: true, memory: { given: { from: 4, below: 7 } } })
    const few = await look(memory, [1, 2, 3, 4], ...all)
    expect(few).toMatchObject({ expungeHere: [], held: 2, doubted: true })
    const half = await look(memory, [1, 2, 3, 5, 6], ...all)
    expect(half).toMatchObject({ expungeHere: [4], held: 0, doubted: false })
    expect(half.memory).toEqual({ keeps: true, provenBelow: 7 })
    // Later mail that is kept is proof for the earlier too.
    const later = retrievalConfirmed(gone.memory, 7 as Uid, 8 as Uid)
    expect(await look(later, [1, 2, 3, 7], ...all, 7)).toMatchObject({ expungeHere: [4, 5, 6], held: 0 })
    // Others that go are judged without them.
    expect(await look(gone.memory, [1, 2], ...all)).toMatchObject({ expungeHere: [3], held: 3 })
    // A client deleted one of them here: it may be listed again.
    const left = { listed: [1].map(entry), present: present(1), departed: departed('client', 4), memory }
    expect((await plan(input(left))).forget).toEqual([])
  })

  it('old mail that is older than all that is listed stays: the server may show that of a month (P8)', async () => {
    const receivedAt = (uid: Uid) => 1_000_000 - (30 - uid) * day
    const look = (listed: number[], changes: Partial<PlanInput> = {}) =>
      plan(input({ listed: listed.map(entry), present: present(...range(1, 29)), receivedAt, ...changes }))
    expect(await look(range(6, 29))).toMatchObject({ expungeHere: [], held: 5, doubted: false })
    expect(await look([1, ...range(6, 29)])).toMatchObject({ expungeHere: [2, 3, 4, 5], held: 0 })
    expect(await look([...range(6, 9), ...range(11, 29)])).toMatchObject({ expungeHere: [10], held: 5 })
    // Of an account that gets no mail nothing is left in the end.
    const memory = { keeps: true, missing: { since: 1_000_000 - day, sessions: 2 } }
    expect(await look([], { memory })).toMatchObject({ expungeHere: range(24, 29), held: 23 })
  })

  it('a message that vanished, left here and is listed again comes back', async () => {
    const steps = await plan(input({ listed: [entry(1)], departed: departed('backend', 1) }))
    expect(steps.readmit).toEqual(['o1'])
    expect(steps.fetch.map(({ number }) => number)).toEqual([1])
  })

  it('GW-20, GW-21: the newest N; older ones are pushed out, and come back when N grows', async () => {
    const listed = range(1, 5).map(entry)
    const steps = await plan(
      input({ listed, present: present(1, 2, 3, 4), policy: { fetchLastN: 3, ignoreFrontendDeletes: false } }),
    )
    expect(steps.fetch.map(({ number }) => number)).toEqual([5])
    expect(steps.pushOut).toEqual([1, 2])
    expect(steps.deleteThere).toEqual([])
    const grown = await plan(input({ listed, present: present(3, 4, 5), departed: departed('window', 1, 2) }))
    expect(grown.readmit).toEqual(['o1', 'o2'])
  })

  it('a unique-id that is listed again after a confirmed deletion: another size is another message', async () => {
    const look = (size: number | undefined, memory: Partial<PlanInput['memory']>) =>
      plan(
        input({
          listed: [entry(1)],
          departed: departed('client', 1),
          sizes: new Map(size === undefined ? [] : [[1, size]]),
          memory: { keeps: true, ...memory },
        }),
      )
    const first = await look(700, {})
    expect([first.deleteThere.length, first.memory.asked]).toEqual([1, { 1: 700 }])
    const deleted = deletionsConfirmed(first.memory, [1 as Uid])
    expect(deleted).toEqual({ keeps: true, deleted: { 1: 700 } })
    for (const size of [700, undefined])
      expect(await look(size, deleted)).toMatchObject({ deleteThere: [], fetch: [], withheld: 1, memory: deleted })
    expect(await look(701, deleted)).toMatchObject({ deleteThere: [], readmit: ['o1'], withheld: 0 })
    expect((await look(701, deleted)).memory).toEqual({ keeps: true })
    // LIST is refused this time: the size of before stands.
    expect((await look(undefined, first.memory)).memory.asked).toEqual({ 1: 700 })
    // Asked for, but never confirmed: the same one is asked for again, another one is not.
    expect((await look(700, first.memory)).deleteThere).toHaveLength(1)
    expect(await look(701, first.memory)).toMatchObject({ deleteThere: [], readmit: ['o1'] })
  })

  it('one session deletes so many that their memory stays small', async () => {
    const many = range(1, 10_001)
    const steps = await plan(input({ listed: many.map(entry), departed: departed('client', ...many) }))
    expect(steps.deleteThere).toHaveLength(10_000)
  })

  it('what was deleted under ignore_frontend_deletes stays there after it is switched off', async () => {
    const listed = [1, 2].map(entry)
    const on = { fetchLastN: 0, ignoreFrontendDeletes: true }
    const last = await plan(input({ listed, departed: departed('client', 1), policy: on }))
    const off = { ...on, ignoreFrontendDeletes: false }
    const memory = underPolicy(last.memory, off, 1 as ModSeq)
    expect(underPolicy(last.memory, on, 1 as ModSeq)).toEqual(last.memory)
    expect(underPolicy(memory, off, 9 as ModSeq)).toEqual(memory)
    const steps = await plan(input({ listed, departed: departed('client', 1, 2), memory }))
    expect(steps.deleteThere.map(({ number }) => number)).toEqual([2])
    expect(steps.fetch).toEqual([])
    expect((await plan(input({ listed: [], departed: departed('client', 1), memory }))).forget).toEqual(['o1'])
  })

  it('GW-08: with ignore_frontend_deletes nothing is deleted there, and nothing fetched again', async () => {
    const policy = { fetchLastN: 0, ignoreFrontendDeletes: true }
    const steps = await plan(input({ listed: [entry(1)], departed: departed('client', 1), policy }))
    expect([steps.deleteThere, steps.fetch, steps.forget]).toEqual([[], [], []])
  })
})
