/** `npm run fuzz:managesieve -- INPUTS [SEED]`: what `fuzz.test.ts` does with 2,000. Exits with 1 when anything was found. */
import { fuzz } from './fuzz.ts'

const numbers = process.argv.slice(2).map(Number)
if (numbers.some((value) => !Number.isInteger(value) || value < 1)) {
  process.stderr.write('usage: npm run fuzz:managesieve -- [INPUTS [SEED]]\n')
  process.exit(2)
}
const [inputs = 100_000, seed = Date.now() % 2 ** 31] = numbers
console.log(`seed ${seed}`)
let found = 0
for await (const { sent, reason, said } of fuzz(inputs, seed)) {
  found += 1
  console.log(`${reason}\n  C: ${JSON.stringify(sent)}\n  S: ${JSON.stringify(said)}`)
}
console.log(`${inputs} inputs, ${found} found`)
process.exitCode = found === 0 ? 0 : 1
