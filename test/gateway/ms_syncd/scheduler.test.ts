import { describe, expect, it } from 'vitest'
import { loginPriority, pollPriority, Scheduler } from '#gateway/ms_syncd/scheduler.ts'

const never = new AbortController().signal

describe('scheduler', () => {
  it('bounds sessions in all and per host, and a slow host keeps no other waiting', async () => {
    const scheduler = new Scheduler(4)
    const gate = Promise.withResolvers<void>()
    const running = { slow: 0, most: 0 }
    const slow = Array.from({ length: 10 }, () =>
      scheduler.run('Slow.example', pollPriority, never, async () => {
        running.most = Math.max(running.most, ++running.slow)
        await gate.promise
        running.slow--
      }),
    )
    expect(await scheduler.run('fast.example', pollPriority, never, async () => 'done')).toBe('done')
    expect(running.most).toBe(2)
    gate.resolve()
    await Promise.all(slow)
    expect(running.most).toBe(2)
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
    expect(scheduler.hosts).toBe(0)
  })

  it('logins go before polls that wait', async () => {
    const scheduler = new Scheduler(2)
    const order: string[] = []
    const gate = Promise.withResolvers<void>()
    const job = (name: string, priority: number) =>
      scheduler.run('h', priority, never, async () => void order.push(name))
    const first = scheduler.run('h', pollPriority, never, () => gate.promise)
    const rest = [job('poll', pollPriority), job('login', loginPriority)]
    gate.resolve()
    await Promise.all([first, ...rest])
    expect(order).toEqual(['login', 'poll'])
  })

  it('a job that waits when the gateway stops does not begin', async () => {
    const scheduler = new Scheduler(1)
    const stop = new AbortController()
    const gate = Promise.withResolvers<void>()
    const first = scheduler.run('h', pollPriority, stop.signal, () => gate.promise)
    let begun = false
    const second = scheduler.run('h', pollPriority, stop.signal, async () => {
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
