/**
 * Two instances on two machines, each seeing the store through a mount that believes for 5 s what it saw, absences included, as network file
 * systems do: news comes later, and nothing is lost, doubled or given the same UID.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RawImap } from '../support/raw-imap.ts'
import { append, contents, idle, type Side, type TwoInstances, twoInstances } from './two-instances.ts'

const cachedSeconds = 5
/** The look of a waiting session, and what the mount remembers. */
const lateMs = 10_000 + cachedSeconds * 1000

describe('two machines with one store on mounts that remember', () => {
  let both: TwoInstances

  beforeAll(async () => {
    both = await twoInstances({ cachedSeconds })
  })

  afterAll(() => both?.[Symbol.asyncDispose]())

  it('tells an idling client of the other machine at most that much later', async () => {
    await using a = await both.enter('a')
    await using b = await both.enter('b')
    const idling = await idle(b)
    let began = performance.now()
    const uid = await append(a, 'late')
    expect(await idling.seenAfter(began, /^\* \d+ EXISTS$/)).toBeLessThan(lateMs)
    began = performance.now()
    await a.command(`UID STORE ${uid} +FLAGS.SILENT (\\Deleted)`)
    await a.command(`UID EXPUNGE ${uid}`)
    expect(await idling.seenAfter(began, /^\* \d+ EXPUNGE$/)).toBeLessThan(lateMs)
    await idling.done()
  })

  // Enough for the log to be cut under way: new folders are absences that were remembered, too.
  it('loses nothing, doubles nothing and gives no UID twice while both write', async () => {
    const given = new Map<number, string>()
    const refused: string[] = []
    const deleted = new Set<number>()
    const write = async (side: Side, client: RawImap) => {
      for (let index = 0; index < 200; index += 1) {
        const text = `${side} ${index}`
        try {
          const uid = await append(client, text)
          expect(given.get(uid)).toBeUndefined()
          given.set(uid, text)
          if (index % 3 === 1) await client.command(`UID STORE ${uid} +FLAGS.SILENT (\\Flagged)`)
          if (index % 5 === 4) {
            await client.command(`UID STORE ${uid} +FLAGS.SILENT (\\Deleted)`)
            deleted.add(uid)
            await client.command(`UID EXPUNGE ${uid}`)
          }
        } catch (error) {
          refused.push(error instanceof Error ? error.message : String(error))
        }
      }
    }
    await using a = await both.enter('a')
    await using b = await both.enter('b')
    await Promise.all([write('a', a), write('b', b)])
    expect(refused).toEqual([])
    const expected = [...given].filter(([uid]) => !deleted.has(uid)).sort(([one], [other]) => one - other)
    for (const client of [a, b]) {
      await expect.poll(() => contents(client), { timeout: lateMs, interval: 1000 }).toHaveLength(expected.length)
      const lines = await client.command('FETCH 1:* (UID BODY.PEEK[TEXT])')
      const shown = lines.map(({ text, literals }) => [Number(/UID (\d+)/.exec(text)?.[1]), String(literals[0]).trim()])
      expect(shown).toEqual(expected)
    }
    expect(await contents(a)).toEqual(await contents(b))
    expect(both.log()).not.toMatch(/ (err|crit|alert|emerg): /)
  }, 180_000)
})
