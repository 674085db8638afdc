/** Two instances on two machines with one store: what one does the other shows, with mseventd and without, whatever happens to the link. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RawImap } from '../support/raw-imap.ts'
import { append, contents, idle, type TwoInstances, twoInstances } from './two-instances.ts'

/** With events, and by the look that every waiting session takes. */
const [toldMs, lookMs] = [1000, 10_000]

describe('two machines with one store (MDIR-08)', () => {
  let both: TwoInstances

  beforeAll(async () => {
    both = await twoInstances()
  })

  afterAll(() => both?.[Symbol.asyncDispose]())

  /** Milliseconds until a message that one client delivers shows at the other, which idles. */
  const delivered = async (writer: RawImap, reader: RawImap) => {
    const idling = await idle(reader)
    const began = performance.now()
    await append(writer, `for the other at ${began}`)
    const delay = await idling.seenAfter(began, /^\* \d+ EXISTS$/)
    await idling.done()
    return delay
  }

  const reconnected = (writer: RawImap, reader: RawImap) =>
    expect.poll(() => delivered(writer, reader), { timeout: 90_000 }).toBeLessThan(toldMs)

  it('tells an idling client on the other machine within 1 s', async () => {
    await using a = await both.enter('a')
    await using b = await both.enter('b')
    for (const [writer, reader] of [
      [a, b],
      [b, a],
    ] as const) {
      const idling = await idle(reader)
      let began = performance.now()
      const uid = await append(writer, `for the other at ${began}`)
      expect(await idling.seenAfter(began, /^\* \d+ EXISTS$/)).toBeLessThan(toldMs)
      began = performance.now()
      await writer.command(`UID STORE ${uid} +FLAGS (\\Deleted)`)
      expect(await idling.seenAfter(began, /^\* \d+ FETCH .*\\Deleted/)).toBeLessThan(toldMs)
      began = performance.now()
      await writer.command(`UID EXPUNGE ${uid}`)
      expect(await idling.seenAfter(began, /^\* \d+ EXPUNGE$/)).toBeLessThan(toldMs)
      await idling.done()
    }
  })

  it('tells it within 10 s while mseventd is away, and the sessions stay (EVT-12)', async () => {
    await using a = await both.enter('a')
    await using b = await both.enter('b')
    await both.stopEvents()
    expect(await delivered(a, b)).toBeLessThan(lookMs)
    await both.startEvents()
    await reconnected(a, b)
  }, 180_000)

  it('tells both sides within 10 s while the link is cut, converges when it is healed, and loses no session', async () => {
    await using a = await both.enter('a')
    await using b = await both.enter('b')
    const kept = await append(a, 'kept')
    await expect.poll(() => contents(b)).toContain(`${kept}`)
    both.machines.cut()
    try {
      // The first machine has mseventd, and its reader hears of nothing that the second does.
      expect(await delivered(a, b)).toBeLessThan(lookMs)
      expect(await delivered(b, a)).toBeLessThan(lookMs)
      // Each side writes while neither hears of the other.
      await append(a, 'written on the first machine')
      await append(b, 'written on the second machine')
      await b.command(`UID STORE ${kept} +FLAGS (\\Flagged)`)
      await a.command(`UID STORE ${kept} +FLAGS (\\Answered)`)
    } finally {
      both.machines.heal()
    }
    const [here, there] = [await contents(a), await contents(b)]
    expect(here).toEqual(there)
    expect(here).toContain(`${kept} \\Answered \\Flagged`)
    await reconnected(a, b)
    expect(both.log()).not.toMatch(/ (err|crit|alert|emerg): /)
  }, 180_000)
})
