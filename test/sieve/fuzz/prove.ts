/** `npm run fuzz:sieve -- SCRIPTS [SEED]`: what `fuzz.test.ts` does with a few. Exits with 1 when anything was found. */
import { SieveFuzzer } from './fuzz.ts'

const numbers = process.argv.slice(2).map(Number)
if (numbers.some((value) => !Number.isInteger(value) || value < 1)) {
  process.stderr.write('usage: npm run fuzz:sieve -- [SCRIPTS [SEED]]\n')
  process.exit(2)
}
const [count = 10_000, seed = Date.now() % 2 ** 31] = numbers
console.log(`seed ${seed}`)
const fuzzer = new SieveFuzzer(seed)
let found = 0
for (let left = count; left > 0; left--) {
  const finding = await fuzzer.next()
  if (finding === undefined) continue
  found++
  console.log(
    `${finding.reason}\n  script: ${JSON.stringify(finding.script)}\n  message: ${JSON.stringify(finding.message)}`,
  )
  if (found >= 20) break
}
const { scripts, runs, errors, longestTurnMs } = fuzzer.tally
console.log(
  `${scripts} scripts, ${runs} of them run, ${errors} ended by an error, longest turn ${longestTurnMs.toFixed(1)} ms; ${found} found`,
)
process.exitCode = found === 0 && longestTurnMs < 50 ? 0 : 1
