/** The queue and the submission server as the configuration names them. SV-06, GW-23 */
import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { Config } from '../config/config.ts'
import { Spool } from './spool.ts'
import { Submission } from './submission.ts'

const connectMs = 30_000
/** RFC 5321 §4.5.3.2.6: a server may take ten minutes behind the end of a message. */
const idleMs = 600_000

export const submissionOf = (config: Config): Submission => {
  const user = config.get('submit_user')
  return new Submission({
    host: config.get('submit_host'),
    port: config.get('submit_port'),
    login: user === undefined ? undefined : { user, password: () => config.get('submit_password') ?? '' },
    connectMs,
    idleMs,
  })
}

/** Beside the mail, so that all machines that share it share the queue. */
export const spoolOf = (config: Config, clock: Clock): Spool =>
  new Spool(join(config.get('userdir'), '.outgoing'), clock)
