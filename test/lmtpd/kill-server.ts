/** lmtpd in a process of its own, to be killed: `node kill-server.ts <directory> <port>`. Says `ready` when it listens. */
import { join } from 'node:path'
import { systemClock } from '#src/base/clock.ts'
import { silentLog } from '#src/base/log.ts'
import { configOf } from '#src/config/config.ts'
import { lmtpd } from '#src/lmtpd/main.ts'
import { MemoryBus } from '../imapd/support.ts'
import { configuration } from './kills.ts'

const [root, port] = process.argv.slice(2)
const config = configOf({
  ...configuration(root!),
  lmtp_host: ['127.0.0.1'],
  lmtp_port: [Number(port)],
  run_dir: join(root!, 'run'),
})
await lmtpd.start({
  config,
  log: silentLog,
  clock: systemClock,
  events: new MemoryBus(),
  firstWorker: true,
  sharedPorts: false,
})
process.stdout.write('ready\n')
