/** Short form of `npm run fuzz:managesieve -- 100000`. */
import { expect, it } from 'vitest'
import { type Found, fuzz } from './fuzz.ts'

it('whatever comes is answered, and the NOOP behind it', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const found: Found[] = []
  for await (const one of fuzz(2_000, seed)) found.push(one)
  expect(found, `seed ${seed}`).toEqual([])
})
