/** `npm run fuzz:imap -- SECONDS [SEED]`: what `fuzz.test.ts` does for two seconds. Exits with 1 when anything was found. */
import { programArgs } from '#test/support/program-args.ts'
import { type Found, Fuzzer } from './fuzz.ts'
import { seeds } from './seeds.ts'

const numbers = programArgs({ allowPositionals: true }, '[SECONDS [SEED]]').positionals.map(Number)
if (numbers.some((value) => !Number.isInteger(value) || value < 1)) throw new Error('numbers from 1 on, see --help')
const [seconds = 60, seed = Date.now() % 2 ** 31] = numbers
const until = performance.now() + seconds * 1000
await using fuzzer = await Fuzzer.open(seed)
console.log(`seed ${seed}`)
let found = 0
const tell = ({ state, sent, cuts, reason, said }: Found) => {
  found++
  console.log(
    `${state}, cut at ${cuts.join() || 'nothing'}: ${reason}\n  C: ${JSON.stringify(sent)}\n  S: ${JSON.stringify(said)}`,
  )
}
for await (const one of fuzzer.grammar()) tell(one)
for (const text of seeds) {
  if (performance.now() > until) break
  for await (const one of fuzzer.cut(text)) tell(one)
}
while (performance.now() < until) for await (const one of fuzzer.next()) tell(one)
console.log(`${fuzzer.commands} commands, ${found} found`)
process.exitCode = found === 0 ? 0 : 1
