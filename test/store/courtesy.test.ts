import { expect, it } from 'vitest'
import { Courtesy } from '#src/store/courtesy.ts'

/** A process whose commits take a ms, and what it slept. */
function processAlone() {
  let nowMs = 0
  let sleptMs = 0
  const sleep = async (ms: number) => {
    nowMs += ms
    sleptMs += ms
  }
  const courtesy = new Courtesy({ now: () => nowMs, monotonic: () => nowMs, sleep })
  let number = 0
  return {
    /** Before this one, others made `others` entries, and a race was lost that it took 3 ms to catch up with. */
    commit: async (others: readonly string[] = []) => {
      await courtesy.pause()
      for (const writer of others) courtesy.meet(writer)
      number += others.length + 1
      if (others.length > 0) {
        const since = nowMs
        nowMs += 3
        courtesy.caughtUp(since)
      }
      nowMs += 1
      courtesy.won(number)
    },
    pass: (ms: number) => {
      nowMs += ms
    },
    slept: () => {
      const slept = sleptMs
      sleptMs = 0
      return slept
    },
  }
}

it('a process that is alone never waits, one that shares evenly hardly, one that takes more does', async () => {
  const { commit, slept } = processAlone()
  for (let n = 0; n < 100; n += 1) await commit()
  expect(slept()).toBe(0)
  for (let n = 0; n < 50; n += 1) await commit(['b', 'c'])
  slept()
  for (let n = 0; n < 50; n += 1) await commit(['b', 'c'])
  expect(slept()).toBeLessThan(5)
  for (let n = 0; n < 20; n += 1) await commit()
  expect(slept()).toBeGreaterThan(20 * 3)
})

it('the waiting ends with nobody there to wait for', async () => {
  const { commit, pass, slept } = processAlone()
  for (let n = 0; n < 8; n += 1) await commit(['b'])
  for (let n = 0; n < 200; n += 1) await commit()
  expect(slept()).toBeGreaterThan(0)
  for (let n = 0; n < 200; n += 1) await commit()
  expect(slept()).toBe(0)
  for (let n = 0; n < 8; n += 1) await commit(['b'])
  await commit()
  slept()
  // Nor is one waited for who was seen long ago, or longer than the time since the last commit already was.
  pass(5000)
  for (let n = 0; n < 8; n += 1) await commit()
  expect(slept()).toBe(0)
})
