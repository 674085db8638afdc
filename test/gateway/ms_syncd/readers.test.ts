/** docs/decisions/0025-announced-first.md */
import { expect, it } from 'vitest'
import { Readers } from '#gateway/ms_syncd/readers.ts'
import { AuthError } from '#src/base/errors.ts'
import { TurnedClock } from '#test/support/turned-clock.ts'

/** A pull that rests until `rested` says so. */
function pull(readers: Readers, signal = new AbortController().signal) {
  const state = { rested: false }
  readers.rest(signal).then(() => {
    state.rested = true
  })
  return state
}

const turned = async (clock: TurnedClock, ms: number) => {
  for (let left = ms; left > 0; left -= 50) {
    clock.turn(0.05)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

it('a pull rests while somebody waits, and a moment longer, but not for ever', async () => {
  const clock = new TurnedClock()
  const readers = new Readers(clock)
  await readers.rest(new AbortController().signal)
  const { promise, resolve } = Promise.withResolvers<void>()
  const wait = readers.wait(() => promise)
  const first = pull(readers)
  await turned(clock, 9_000)
  expect(first.rested).toBe(false)
  await turned(clock, 1_100)
  expect(first.rested).toBe(true)
  const second = pull(readers)
  resolve()
  await wait
  await turned(clock, 200)
  expect(second.rested).toBe(false)
  await turned(clock, 200)
  expect(second.rested).toBe(true)
  // The first page of somebody who was let in.
  readers.letIn()
  const [third, stopped] = [pull(readers), new AbortController()]
  const ended = pull(readers, stopped.signal)
  stopped.abort()
  await turned(clock, 4_900)
  expect([third.rested, ended.rested]).toEqual([false, true])
  await turned(clock, 200)
  expect(third.rested).toBe(true)
})

it('only so many wait for one another; the next one is told to come again', async () => {
  const readers = new Readers(new TurnedClock())
  const { promise, resolve } = Promise.withResolvers<void>()
  const waiting = Array.from({ length: 32 }, () => readers.wait(() => promise))
  const refused = readers.wait(() => promise)
  await expect(refused).rejects.toMatchObject({ kind: 'unavailable' })
  await expect(refused).rejects.toBeInstanceOf(AuthError)
  resolve()
  await Promise.all(waiting)
  await readers.wait(async () => {})
})
