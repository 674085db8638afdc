/** A sync that submits what it fetches, in a process of its own, to be killed: `node submitting-sync.ts POP3PORT STORE SMTPPORT`. */
import { defaultLimits } from '#gateway/backend/types.ts'
import { smtpInjection } from '#gateway/sync/inject/smtp.ts'
import { systemClock } from '#src/base/clock.ts'
import { Submission } from '#src/submission/submission.ts'
import { backendAt, Syncer, testStore } from '../support.ts'

const [pop3Port, root, smtpPort] = process.argv.slice(2)
await using test = await testStore(root!)
const submission = new Submission({
  host: '127.0.0.1',
  port: Number(smtpPort),
  connectMs: 5_000,
  idleMs: 5_000,
})
const injection = smtpInjection({ submission, sender: 'mssync@example.org' }, systemClock)
await new Syncer(test.store, backendAt(Number(pop3Port)), { limits: defaultLimits }).sync({}, { injection })
submission.close()
