/** `npm run demo:deliver`: a new message arrives at the demonstration provider of a running `npm start`. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { systemClock } from '../../base/clock.ts'
import { deliverToProvider, newMessage } from './demo-mail.ts'

const directory = resolve(process.argv[2] ?? 'var', 'demo', 'user')
if (existsSync(directory)) {
  await deliverToProvider(directory, [newMessage(systemClock)])
  console.log('delivered to the demonstration provider')
} else {
  console.error(`${directory} does not exist: run \`npm start\` first`)
  process.exitCode = 1
}
