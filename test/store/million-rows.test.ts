import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import type { Uid } from '#src/base/ids.ts'
import type { Operation } from '#src/store/change-set.ts'
import type { MailboxState } from '#src/store/mailbox-state.ts'
import { applyEntry, freshState } from './mailbox-columns.ts'

const count = 1_000_000
const perEntry = 10_000

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function heldOctets(): number {
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** The CPU time of each step. */
function steps(state: MailboxState, number: number, operation: Operation): number[] {
  const taken: number[] = []
  const applying = state.apply(operation, number)
  for (let done = false; !done; ) {
    const before = cpuMs()
    done = applying.next().done === true
    taken.push(cpuMs() - before)
  }
  const before = cpuMs()
  state.applied(number)
  taken.push(cpuMs() - before)
  return taken
}

/** The steps of each operation on a million messages. */
function stepsOfAll(): Record<string, readonly number[]> {
  const before = heldOctets()
  const state = freshState()
  for (let first = 1; first <= count; first += perEntry)
    applyEntry(
      state,
      1 + first,
      Array.from({ length: perEntry }, (_, at) => added(first + at)),
    )
  expect(state.byOrigin(originOf(count))).toEqual({ present: true, uid: count })
  expect(state.byOrigin(originOf(count + 1))).toBeUndefined()
  expect((heldOctets() - before) / count).toBeLessThan(120)

  const all = `1:${count}`
  const odd = Array.from({ length: count / 2 }, (_, at) => 2 * at + 1).join(',')
  const number = 2 * count
  const taken = {
    flags: steps(state, number, ['flags', 'add', ['\\Seen'], all]),
    expunge: steps(state, number + 1, ['expunge', 'client', odd, 1]),
    purge: steps(state, number + 2, ['purge', odd]),
  }
  expect([state.messages.length, state.expunged.length]).toEqual([count / 2, 0])
  expect(state.messages.totals().unseen).toBe(0)
  expect(state.byUid(2 as Uid)?.modSeq).toBe(number)
  expect(state.byOrigin(originOf(1))).toMatchObject({ present: false, uid: 1 })
  return taken
}

it('a million messages with origins take 100 octets each, and nothing done to all of them keeps others waiting', () => {
  const first = stepsOfAll()
  const second = stepsOfAll()
  for (const [what, taken] of Object.entries(first)) {
    expect(second[what], what).toHaveLength(taken.length)
    // What the store itself does comes at the same step every time; the collector and whoever else has the processor come anywhere.
    const own = taken.map((ms, step) => Math.min(ms, second[what]![step]!))
    expect(Math.max(...own), what).toBeLessThan(50)
  }
}, 240_000)

const uidlOf = (uid: number) => uid.toString(16).padStart(16, '0')
const originOf = (uid: number) => `pop.example.net:lena:${uidlOf(uid)}`

/** As deliveries write it; the digest is of no octets. */
function added(uid: number): Operation {
  const digest = `${'A'.repeat(43)}${uid.toString(36)}A`.slice(-43)
  const origin = `pop.example.net%3Alena%3A${uidlOf(uid)}`
  return ['add', `1700000000,S=2048,O=${origin},abcdefghijklmnop${uid.toString(36)},${digest}`, [], 16, null, uid]
}
