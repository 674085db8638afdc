/** `npm run fuzz:lmtp -- [SESSIONS [SEED]]`: what `fuzz.test.ts` does for some hundred sessions. Exits with 1 when anything was found. */
import { watchTurns } from '../../support/turns.ts'
import { type Found, LmtpFuzzer } from './fuzz.ts'

const [sessions = 10_000, seed = Date.now() % 2 ** 31] = process.argv.slice(2).map(Number)
const fuzzer = new LmtpFuzzer(seed)
console.log(`seed ${seed}`)
let found = 0
const tell = ({ reason, sent, cuts, said }: Found) => {
  found++
  console.log(
    `cut at ${cuts.join() || 'nothing'}: ${reason}\n  C: ${JSON.stringify(sent)}\n  S: ${JSON.stringify(said)}`,
  )
}
for await (const one of fuzzer.cutEverywhere()) {
  tell(one)
  if (found === 10) break
}
const turns = watchTurns()
while (fuzzer.sessions < sessions && found < 10) {
  const one = await fuzzer.next()
  if (one !== undefined) tell(one)
  // Sessions without sockets would leave nobody else a turn.
  await new Promise(setImmediate)
}
console.log(
  `${fuzzer.sessions} sessions, ${fuzzer.octets} octets, ${found} found, longest turn ${Math.round(turns.end())} ms`,
)
process.exitCode = found === 0 ? 0 : 1
