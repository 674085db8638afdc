import { expect, it } from 'vitest'
import { watchTurns } from '../support/turns.ts'
import { type Found, LmtpFuzzer } from './fuzz/fuzz.ts'

it('takes exactly what clients mean, in any pieces, and answers whatever else they send (H23)', async () => {
  const fuzzer = new LmtpFuzzer(33)
  const found: Found[] = []
  for await (const one of fuzzer.cutEverywhere()) found.push(one)
  const turns = watchTurns()
  for (let left = 150; left > 0 && found.length === 0; left--) {
    const one = await fuzzer.next()
    if (one !== undefined) found.push(one)
    await new Promise(setImmediate)
  }
  expect(found).toEqual([])
  expect(turns.end()).toBeLessThan(50)
})
