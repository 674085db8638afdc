/** The short form of `npm run fuzz:sieve`, and some of the scripts that are made to take long. */
import { expect, test } from 'vitest'
import { compile } from '#src/sieve/compile.ts'
import { messageInMemory } from '#src/sieve/in-memory.ts'
import { run } from '#src/sieve/run.ts'
import { costly } from './costly.ts'
import { SieveFuzzer, Turns } from './fuzz.ts'

test('scripts and messages near and far from real ones', async () => {
  const fuzzer = new SieveFuzzer(20_080_101)
  for (let left = 150; left > 0; left--) expect(await fuzzer.next()).toBeUndefined()
  expect(fuzzer.tally.runs).toBeGreaterThan(20)
})

const chosen = [
  'repetition of repetitions',
  'a large expression',
  'many keys',
  'growing variables',
  'flags that add up',
]

// Generous, because a collection of garbage may fall into a turn; without steps and pauses these take many seconds.
test.each(costly.filter(({ title }) => chosen.includes(title)))(
  'no turn of the event loop takes long: $title',
  async ({ script, message }) => {
    const compiled = compile(Buffer.from(script))
    if ('errors' in compiled) throw new Error(compiled.errors[0]!.text)
    const given = messageInMemory(Buffer.from(message, 'latin1'), { from: '', to: 'a@example.org' })
    const turns = new Turns()
    turns.begin()
    const { actions } = await run([compiled.script], given, { now: 0, maxSteps: 100_000 })
    turns.end()
    expect(actions.length).toBeGreaterThan(0)
    expect(turns.longestMs).toBeLessThan(150)
  },
)
