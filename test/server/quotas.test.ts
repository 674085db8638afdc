/** What a quota costs, and what becomes of work that fails. QUO-01 */
import { describe, expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { configOf } from '#src/config/config.ts'
import { createQuotas } from '#src/server/quotas.ts'
import type { Usage } from '#src/store/types.ts'

const userId = 'anna@example.org' as UserId

/** An account that counts how often it is counted; what is added to it takes `commitMs`. */
const full = (quota_limit: number, commitMs = 0) => {
  let nowMs = 0
  const used = { octets: 0, messages: 0 }
  const test = {
    counts: 0,
    look: 0,
    used,
    pass: (ms: number) => {
      nowMs += ms
    },
    quotas: createQuotas({
      config: () => configOf({ quota_limit }),
      accounts: {
        find: async () => {
          test.look += 1
          return undefined
        },
        put: async () => {},
      },
      clock: { ...systemClock, monotonic: () => nowMs },
    }),
    account: {
      userId,
      usage: async (): Promise<Usage> => {
        test.counts += 1
        const seen = { ...used }
        await systemClock.sleep(0)
        return seen
      },
    },
    add: (octets: number, fails = false) =>
      test.quotas.adding(test.account, { octets, messages: 1 }, async () => {
        await systemClock.sleep(commitMs)
        if (fails) throw new Error('no disk')
        used.octets += octets
        used.messages += 1
      }),
  }
  return test
}

describe('quotas', () => {
  it('count now and then while there is room, and fill it to the octet', async () => {
    const test = full(10_000)
    let added = 0
    for (; added < 20_000; added += 1) if ((await test.add(1024).catch(() => 'full')) === 'full') break
    expect(added).toBe(10_000)
    // Some ten for each factor of e, and each of the last ten.
    expect(test.counts).toBeLessThan(120)
  })

  it('do not count for users without a limit, and look for one every ten seconds', async () => {
    const test = full(0)
    for (let i = 0; i < 1000; i += 1) await test.add(1_000_000)
    expect([test.counts, test.look]).toEqual([0, 1])
    test.pass(10_001)
    await test.add(1)
    expect([test.counts, test.look]).toEqual([0, 2])
  })

  it('let in what others wait for when work fails, and count again after ten seconds', async () => {
    const test = full(1)
    await expect(test.add(1000, true)).rejects.toThrow('no disk')
    await test.add(1000)
    await expect(test.add(25)).rejects.toMatchObject({ kind: 'over-quota' })
    await test.add(24)

    const other = full(100)
    await other.add(10)
    other.used.octets = 100 * 1024
    await other.add(10)
    other.pass(10_001)
    await expect(other.add(10)).rejects.toMatchObject({ kind: 'over-quota' })
  })

  it('admit at once no more than fits, in whatever order', async () => {
    // Commits that take much longer than a count, so that many counts come while they are under way.
    const test = full(100, 20)
    const sizes = Array.from({ length: 400 }, (_, index) => 300 + ((index * 7919) % 1700))
    const done = await Promise.allSettled(sizes.map((octets) => test.add(octets)))
    expect(done.some(({ status }) => status === 'rejected')).toBe(true)
    expect(test.used.octets).toBeLessThanOrEqual(100 * 1024)
    expect(test.used.octets).toBeGreaterThan(100 * 1024 - 300)
  })
})
