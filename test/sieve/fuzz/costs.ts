/** `node test/sieve/fuzz/costs.ts`: how long each of the costly scripts takes, and its longest turn. */
import { compile } from '#src/sieve/compile.ts'
import { messageInMemory } from '#src/sieve/in-memory.ts'
import { run } from '#src/sieve/run.ts'
import { costly } from './costly.ts'
import { Turns } from './fuzz.ts'

for (const { title, script, message } of costly) {
  const start = performance.now()
  const compiled = compile(Buffer.from(script))
  const compileMs = performance.now() - start
  if ('errors' in compiled) {
    console.log(title, compiled.errors)
    continue
  }
  const given = messageInMemory(Buffer.from(message, 'latin1'), { from: '', to: 'a@example.org' })
  const turns = new Turns()
  const begin = performance.now()
  turns.begin()
  const { error } = await run([compiled.script], given, { now: 0 })
  turns.end()
  console.log(
    `${title}: compiled in ${compileMs.toFixed(1)} ms, run in ${(performance.now() - begin).toFixed(0)} ms, longest turn ${turns.longestMs.toFixed(1)} ms${error === undefined ? '' : `, ${error.text}`}`,
  )
}
