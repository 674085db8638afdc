/**
 * Proves what a wave promises with many users: `npm run prove:wave [-- --users 200 --planted 3 --first 40 --json]`. Exits with 1 when a planted risk is
 * missing from the plan, something else is in it, the forecast is off by more than 20 %, or not everything is here.
 */

import { systemClock } from '#src/base/clock.ts'
import { programArgs } from '#test/support/program-args.ts'
import { domain, stageWave } from './campaign.ts'

const { values } = programArgs({
  options: {
    users: { type: 'string', default: '200' },
    planted: { type: 'string', default: '3' },
    messages: { type: 'string', default: '30' },
    first: { type: 'string', default: '40' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
})
const allowed = 0.2
const scale = { users: Number(values.users), planted: Number(values.planted), messages: Number(values.messages) }
await using stage = await stageWave(scale, Number(values.seed))
const wave = async (...args: readonly string[]) => {
  const called = await stage.wave(...args)
  if (called.status !== 0) throw new Error(`msadm wave ${args.join(' ')}: ${called.err}`)
  return called
}
const timed = async (...args: readonly string[]) => {
  const began = systemClock.monotonic()
  await wave(...args)
  return Math.round(systemClock.monotonic() - began)
}
await wave('create', 'first', '-f', stage.csv)
const inventoryMs = await timed('inventory', 'first', '-w', '-q')
const { lines } = await wave('plan', 'first', '--json')
const found = new Set(lines.slice(1).map(({ userId, kind }) => `${userId} ${kind}`))
const planted = new Set([...stage.planted].map(([user, kind]) => `${user}@${domain} ${kind}`))
// What is larger than is taken is asked for three times, a minute apart: such users go into a wave of their own.
await wave('limits', 'first', '--account', '900')
const firstMs = await timed('start', 'first', '-n', values.first, '-w', '-q')
const [plan] = (await wave('plan', 'first', '--json')).lines
const forecastMs = Number(plan!.ms)
await wave('resume', 'first')
const tookMs = await timed('watch', 'first', '-q')
const [summary] = (await wave('status', 'first', '--json')).lines
const states = summary!.states as Readonly<Record<string, number>>
const result = {
  users: scale.users,
  messages: stage.messages,
  planted: planted.size,
  missing: [...planted.difference(found)],
  unexpected: [...found.difference(planted)],
  inventoryMs,
  firstMs,
  forecastMs,
  tookMs,
  off: Number((forecastMs / tookMs - 1).toFixed(3)),
  states,
}
const movable = scale.users - scale.planted * 3
const isProven =
  result.missing.length + result.unexpected.length === 0 &&
  Math.abs(result.off) <= allowed &&
  states.migrated === movable
if (values.json) console.log(JSON.stringify({ ...result, isProven }))
else {
  for (const [name, value] of Object.entries(result)) console.log(`${name.padEnd(12)} ${JSON.stringify(value)}`)
  console.log(isProven ? 'proven' : 'NOT proven')
}
process.exitCode = isProven ? 0 : 1
