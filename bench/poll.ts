/**
 * 10,000 users polled from one process: `npm run bench:poll -- --users 10000 --hosts 50 --hanging 5 --interval 300 --seconds 300`,
 * and once more with the store that it left: `--store DIR`, for what goes on day by day.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { programArgs } from '#test/support/program-args.ts'
import { runPolls } from './poll/polls.ts'

const { values } = programArgs({
  options: {
    users: { type: 'string', default: '10000' },
    hosts: { type: 'string', default: '50' },
    hanging: { type: 'string', default: '5' },
    interval: { type: 'string', default: '300' },
    seconds: { type: 'string', default: '300' },
    connections: { type: 'string', default: '64' },
    store: { type: 'string' },
    messages: { type: 'string', default: '3' },
  },
})

const double = fork(new URL('./poll/double.ts', import.meta.url), [values.messages], {
  stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
})
const [line] = (await once(double.stdout!, 'data')) as [Buffer]
const figures = await runPolls({
  port: Number(line.toString()),
  users: Number(values.users),
  hosts: Number(values.hosts),
  hanging: Number(values.hanging),
  intervalSeconds: Number(values.interval),
  measureSeconds: Number(values.seconds),
  connections: Number(values.connections),
  ...(values.store === undefined ? {} : { store: values.store }),
})
double.disconnect()
const round = (numbers: Readonly<Record<string, number>>) =>
  Object.entries(numbers)
    .map(([name, value]) => `${name} ${value.toFixed(1)}`)
    .join(', ')
console.log(`users                 ${figures.users}, ${figures.live} at hosts that answer`)
console.log(`first poll of all     ${figures.firstSeconds.toFixed(0)} s`)
console.log(`polls                 ${figures.polls}, ${figures.pollsPerSecond.toFixed(1)} a second`)
console.log(`late (ms)             ${round(figures.lateMs)}`)
console.log(`event loop delay (ms) ${round(figures.loopMs)}`)
console.log(`peak RSS              ${figures.rssMiB.toFixed(0)} MiB`)
console.log(`CPU                   ${figures.cpuSeconds.toFixed(1)} s`)
console.log(`failures where it hangs ${figures.hangingFailures}`)
console.log(`store                 ${figures.directory}`)
