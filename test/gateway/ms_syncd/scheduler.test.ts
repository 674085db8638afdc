import { describe, expect, it } from 'vitest'
import { loginPriority, pollPriority, Scheduler } from '#gateway/ms_syncd/scheduler.ts'

const never = new AbortController().signal

/** Work that runs until it is told to end, and how much of it runs. */
const bench = (slots: number) => {
  const scheduler = new Scheduler(slots)
  const running = new Map<string, number>()
  const gate = Promise.withResolvers<void>()
  const begin = (host: string, count: number, priority = pollPriority, limit?: () => number) =>
    Array.from({ length: count }, () =>
      scheduler.run({
        host,
        priority,
        signal: never,
        ...(limit === undefined ? {} : { limit }),
        work: async () => {
          running.set(host, (running.get(host) ?? 0) + 1)
          await gate.promise
        },
      }),
    )
  const quick = (host: string, priority = pollPriority) =>
    scheduler.run({ host, priority, signal: never, work: async () => 'done' }).done
  return { scheduler, running, gate, begin, quick }
}
const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('scheduler', () => {
  it('bounds sessions in all and per host, and a slow host keeps no other waiting', async () => {
    const { running, gate, begin, quick, scheduler } = bench(4)
    const slow = begin('Slow.example', 10)
    expect(await quick('fast.example')).toBe('done')
    expect(running.get('Slow.example')).toBe(2)
    gate.resolve()
    await Promise.all(slow.map(({ done }) => done))
    await settled()
    expect(scheduler.counts).toEqual({ running: 0, waiting: 0 })
  })

  it('hosts that wait are not looked at while nothing could begin', async () => {
    const { begin, gate, quick } = bench(4)
    begin('busy', 4)
    begin('other', 1)
    let looks = 0
    const limit = () => {
      looks++
      return Infinity
    }
    const waiting = Array.from({ length: 1_000 }, (_, n) => begin(`host${n}`, 1, pollPriority, limit)).flat()
    await settled()
    // Each host could be asked at each of a thousand turns.
    expect(looks).toBeLessThan(10_000)
    const login = quick('late.example', loginPriority)
    gate.resolve()
    expect(await login).toBe('done')
    await Promise.all(waiting.map(({ done }) => done))
    expect(looks).toBeLessThan(100_000)
  })

  it('a second busy host finds room, and so does a third', async () => {
    const { running, begin } = bench(16)
    begin('a', 50)
    begin('b', 50)
    begin('c', 50)
    await settled()
    expect([...running]).toEqual([
      ['a', 7],
      ['b', 4],
      ['c', 2],
    ])
  })

  it('a host that waited comes before one that has just had its turn', async () => {
    const scheduler = new Scheduler(1)
    const order: string[] = []
    const job = (host: string) =>
      scheduler.run({ host, priority: pollPriority, signal: never, work: async () => void order.push(host) }).done
    await Promise.all([job('first'), job('a'), job('a'), job('a'), job('b'), job('c'), job('b')])
    expect(order).toEqual(['first', 'a', 'b', 'c', 'a', 'b', 'a'])
  })

  it('a limit of the host holds, and is asked again whenever a session ends', async () => {
    let limit = 1
    const { scheduler, running, begin } = bench(10)
    begin('h', 5, pollPriority, () => limit)
    await settled()
    expect(running.get('h')).toBe(1)
    limit = 3
    await scheduler.run({ host: 'other', priority: pollPriority, signal: never, work: async () => {} }).done
    await settled()
    expect(running.get('h')).toBe(3)
  })

  it('logins go before polls that wait, also those that became one while they waited', async () => {
    const scheduler = new Scheduler(2)
    const order: string[] = []
    const gate = Promise.withResolvers<void>()
    const job = (name: string, priority: number) =>
      scheduler.run({ host: 'h', priority, signal: never, work: async () => void order.push(name) })
    const { done } = scheduler.run({ host: 'h', priority: pollPriority, signal: never, work: () => gate.promise })
    scheduler.run({ host: 'other', priority: pollPriority, signal: never, work: () => gate.promise })
    const rest = [job('poll', pollPriority), job('followed', pollPriority), job('login', loginPriority)]
    rest[1]!.hurry()
    gate.resolve()
    await Promise.all([done, ...rest.map(({ done }) => done)])
    expect(order).toEqual(['login', 'followed', 'poll'])
  })

  it('polls leave slots to logins', async () => {
    const { begin, quick } = bench(16)
    for (let host = 0; host < 40; host++) begin(`h${host}`, 1)
    expect(await quick('h50', loginPriority)).toBe('done')
  })

  it('a job that waits when the gateway stops does not begin', async () => {
    const scheduler = new Scheduler(1)
    const stop = new AbortController()
    const gate = Promise.withResolvers<void>()
    const run = (work: () => Promise<unknown>) =>
      scheduler.run({ host: 'h', priority: pollPriority, signal: stop.signal, work }).done
    const first = run(() => gate.promise)
    let begun = false
    const second = run(async () => {
      begun = true
    })
    second.catch(() => {})
    stop.abort(new Error('stopping'))
    gate.resolve()
    await first
    await expect(second).rejects.toThrow('stopping')
    expect(begun).toBe(false)
  })
})
