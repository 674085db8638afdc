/** Short form of `npm run fuzz:imap -- SECONDS`. */
import { expect, it } from 'vitest'
import { commands } from '#src/imapd/commands/index.ts'
import { type Found, Fuzzer } from './fuzz/fuzz.ts'
import { seeds } from './fuzz/seeds.ts'

const shortMs = 1_000

it('has a well-formed example of every command', () => {
  const names = seeds.map((seed) => /^(?:UID (?!EXPUNGE))?([A-Z]+)/.exec(seed)?.[1])
  expect([...commands.keys()].filter((name) => !names.includes(name) && !seeds.includes(`UID ${name}`))).toEqual([])
})

it('H3 to H6, H30: whatever comes, the NOOP behind it is answered', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  await using fuzzer = await Fuzzer.open(seed)
  const found: Found[] = []
  const until = performance.now() + shortMs
  for await (const one of fuzzer.cut('UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (Subject)])')) found.push(one)
  for await (const one of fuzzer.cut('APPEND fuzz (\\Seen) {4+}\r\na\r\nb')) found.push(one)
  do for await (const one of fuzzer.next()) found.push(one)
  while (performance.now() < until)
  expect(found, `seed ${seed}`).toEqual([])
})
