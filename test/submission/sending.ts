/** A process that sends, to be killed: `node sending.ts DIRECTORY PORT`. Says so when it has sent something. */
import { systemClock } from '#src/base/clock.ts'
import { silentLog } from '#src/base/log.ts'
import { Queue } from '#src/submission/queue.ts'
import { Spool } from '#src/submission/spool.ts'
import { submissionTo } from './support.ts'

const [directory, port] = process.argv.slice(2)
const spool = new Spool(directory!, systemClock)
const log = {
  ...silentLog,
  log: (_: string, text: string) => void (text === 'mail sent' && process.stdout.write('sent\n')),
}
new Queue({ spool, submission: submissionTo(Number(port)), clock: systemClock, log, domain: 'example.com' }).start()
