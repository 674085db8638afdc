import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Shares, shareCount } from '#gateway/ms_syncd/shares.ts'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { scriptedPop3 } from '#test/support/pop3-script.ts'

const folder = async () => {
  const directory = await mkdtemp(join(tmpdir(), 'shares-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}
const users = Array.from({ length: 200 }, (_, index) => `user${index}@example.org` as UserId)

describe('shares of users', () => {
  const join1 = (directory: string, here: readonly UserId[] = [], place?: string) =>
    Shares.join({
      directory,
      clock: systemClock,
      log: silentLog,
      beatMs: 20,
      silenceMs: 60_000,
      place,
      here: () => here,
      onChange: () => {},
    })

  it('one node has all; two have half each, and nobody twice; who leaves gives them back', async () => {
    const directory = await folder()
    await using a = await join1(directory)
    expect(a.counts).toEqual({ shares: shareCount, nodes: 1 })
    expect(users.every((user) => a.isMine(user, false))).toBe(true)
    {
      await using b = await join1(directory)
      await vi.waitFor(() => expect([a.counts.shares, b.counts.shares]).toEqual([32, 32]), 10_000)
      expect(users.filter((user) => a.isMine(user, false) === b.isMine(user, false))).toEqual([])
    }
    await vi.waitFor(() => expect(a.counts).toEqual({ shares: shareCount, nodes: 1 }), 10_000)
  })

  it('who serves clients of a user polls, whoever has the share; of two such nodes, one', async () => {
    const directory = await folder()
    const [joe, ann] = [users[0]!, users[1]!]
    await using a = await join1(directory, [joe])
    await using b = await join1(directory, [joe, ann])
    await vi.waitFor(() => {
      expect([a.isMine(ann, false), b.isMine(ann, true)]).toEqual([false, true])
      expect([a.isMine(joe, true), b.isMine(joe, true)].filter(Boolean)).toHaveLength(1)
    }, 10_000)
  })

  it('a process that died in this place is taken over from at once, one elsewhere only after its silence', async () => {
    const directory = await folder()
    await using a = await join1(directory, [], 'here')
    const dead = JSON.stringify({ beat: 1, pid: 2 ** 22 + 1, place: 'here', here: [] })
    await writeFile(join(directory, 'nodes', 'dead'), dead)
    await writeFile(join(directory, 'nodes', 'silent'), dead.replace('here', 'there'))
    await vi.waitFor(
      async () => expect((await readdir(join(directory, 'nodes'))).sort()).toEqual([a.id, 'silent'].sort()),
      10_000,
    )
    expect(a.counts.nodes).toBe(2)
  })

  it('without a beat a node holds nothing, and what can not be read is no claim', async () => {
    const directory = await folder()
    let now = 0
    const clock = { ...systemClock, monotonic: () => now, sleep: () => new Promise<void>(() => {}) }
    const a = await Shares.join({ directory, clock, log: silentLog, here: () => [], onChange: () => {} })
    expect(a.isMine(users[0]!, false)).toBe(true)
    now += 19_000
    expect(a.isMine(users[0]!, false)).toBe(true)
    now += 2_000
    expect(users.some((user) => a.isMine(user, false) || a.isMine(user, true))).toBe(false)
  })
})

describe('leases', () => {
  it('one node has each, until it leaves', async () => {
    const directory = await folder()
    const node = () =>
      Shares.join({ directory, clock: systemClock, log: silentLog, here: () => [], onChange: () => {}, beatMs: 20 })
    await using b = await node()
    {
      await using a = await node()
      expect(await Promise.all([a.lease('x'), b.lease('y'), a.lease('x')])).toEqual([undefined, undefined, undefined])
      expect(await b.lease('x')).toMatchObject({ id: a.id, where: expect.stringMatching(/^process \d+ on ./) })
      expect([a.holds('x'), b.holds('x'), a.holds('y'), b.holds('y')]).toEqual([true, false, false, true])
      const racing = await Promise.all([a.lease('z'), b.lease('z')])
      expect(racing.filter((holder) => holder === undefined)).toHaveLength(1)
      expect([a.holds('z'), b.holds('z')].filter(Boolean)).toHaveLength(1)
    }
    expect(await b.lease('x')).toBeUndefined()
    expect(b.holds('x')).toBe(true)
  })

  it('a node that stood still for long holds nothing, and finds that another one has it when it goes on', async () => {
    const directory = await folder()
    let now = 0
    const woken = { a: Promise.withResolvers<void>(), b: Promise.withResolvers<void>() }
    const clockOf = (name: 'a' | 'b') => ({
      ...systemClock,
      monotonic: () => now,
      sleep: async () => {
        await woken[name].promise
        woken[name] = Promise.withResolvers()
      },
    })
    const node = (name: 'a' | 'b') =>
      Shares.join({ directory, clock: clockOf(name), log: silentLog, here: () => [], onChange: () => {} })
    const [a, b] = [await node('a'), await node('b')]
    expect(await a.lease('x')).toBeUndefined()
    expect(await b.lease('x')).toMatchObject({ id: a.id })
    now += 21_000
    expect(a.holds('x')).toBe(false)
    expect(await b.lease('x')).toMatchObject({ id: a.id })
    now += 10_000
    woken.b.resolve()
    await vi.waitFor(async () => expect(await b.lease('x')).toBeUndefined(), 10_000)
    await vi.waitFor(() => expect(b.holds('x')).toBe(true), 10_000)
    woken.a.resolve()
    await vi.waitFor(() => expect(a.isMine(users[0]!, true)).toBe(true), 10_000)
    expect(a.holds('x')).toBe(false)
    expect(await a.lease('x')).toMatchObject({ id: b.id })
    for (const name of ['a', 'b'] as const) woken[name].resolve()
  })
})

describe('two nodes on one store', () => {
  it('poll every user once an interval between them, and the one that is left goes on for both after a kill', async () => {
    const directory = await folder()
    await using backend = await scriptedPop3({ messages: [] })
    const count = 24
    const node = async (): Promise<ChildProcess> => {
      const child = fork(join(import.meta.dirname, 'node.ts'), [
        directory,
        String(backend.port),
        String(count),
        '200',
        '3000',
      ])
      onTestFinished(() => void child.kill('SIGKILL'))
      await once(child, 'message')
      return child
    }
    const [first, second] = [await node(), await node()]
    /** Polls of each user since `from`, by the lines of the backend. */
    const polls = (from: number) => {
      const counts = new Map<string, number>()
      for (const line of backend.received.slice(from)) {
        const user = /USER (\S+)/.exec(line)?.[1]
        if (user !== undefined) counts.set(user, (counts.get(user) ?? 0) + 1)
      }
      return counts
    }
    const all = async (from: number, times: number) =>
      await vi.waitFor(() => {
        const counts = polls(from)
        expect(counts.size).toBe(count)
        expect(Math.min(...counts.values())).toBeGreaterThanOrEqual(times)
      }, 30_000)
    const shares = async () => {
      const holders = await Promise.all(
        (await readdir(join(directory, 'shares', 'shares'))).map((name) => name.split('.')[0]),
      )
      return new Set(holders).size
    }
    await vi.waitFor(async () => expect(await shares()).toBe(shareCount), 30_000)
    const sessions = async (node: ChildProcess): Promise<Readonly<Record<string, number>>> => {
      node.send('sessions')
      const [answer] = await once(node, 'message')
      return answer
    }
    /** Users that a node had a session for since then. */
    const polled = async (node: ChildProcess, before: Readonly<Record<string, number>>) =>
      Object.entries(await sessions(node)).flatMap(([user, count]) => (count > before[user]! ? [user] : []))
    await all(backend.received.length, 2)
    const before = [await sessions(first), await sessions(second)] as const
    await all(backend.received.length, 3)
    const [byFirst, bySecond] = [await polled(first, before[0]), await polled(second, before[1])]
    expect([...byFirst, ...bySecond].sort()).toEqual([...new Set([...byFirst, ...bySecond])].sort())
    expect(byFirst.length + bySecond.length).toBe(count)
    expect(Math.min(byFirst.length, bySecond.length)).toBeGreaterThan(0)
    first.kill('SIGKILL')
    await once(first, 'exit')
    await all(backend.received.length, 2)
    second.send('stop')
    expect(await once(second, 'exit')).toEqual([0, null])
    expect(await readdir(join(directory, 'shares', 'nodes'))).toHaveLength(0)
  })
})
