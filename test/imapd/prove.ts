/**
 * npm run prove:imapd -- [COMMANDS [SESSIONS [MESSAGES [SEED]]]] [--dovecot]: random sessions on one mailbox of imapd (two processes' worth in one), every reply checked;
 * or of Dovecot, the control. Exits with 1 when something does not fit together.
 */
import { programArgs } from '#test/support/program-args.ts'
import { startDovecot } from '../support/dovecot.ts'
import { check } from './checker.ts'
import { password, startImapd } from './support.ts'
import type { Server } from './transcript.ts'

const user = 'anna@example.org'
const { values, positionals } = programArgs(
  { options: { dovecot: { type: 'boolean' } }, allowPositionals: true },
  '[COMMANDS [SESSIONS [MESSAGES [SEED]]]]',
)
const numbers = positionals.map(Number)
if (numbers.some((value) => !Number.isInteger(value) || value < 1)) throw new Error('numbers from 1 on, see --help')
const [commands = 100_000, sessions = 20, messages = 5000, seed = 1] = numbers

interface Running {
  readonly servers: readonly Server[]
  stop(): Promise<void>
}

async function startOurs(): Promise<Running> {
  const first = await startImapd([user])
  const second = await first.twin()
  return {
    servers: [first.as(user), second.as(user)],
    stop: async () => {
      const errors = [...first.records, ...second.records].filter(({ severity }) => severity === 'err')
      for (const { message, fields } of errors.slice(0, 10))
        process.stdout.write(`logged: ${message} ${JSON.stringify(fields)}\n`)
      if (errors.length > 0) process.exitCode = 1
      await second.stop()
      await first.stop()
    },
  }
}

async function startControl(): Promise<Running> {
  const extra = 'mail_max_userip_connections = 100\n'
  const dovecot = await startDovecot({ users: { [user]: password }, protocols: ['imap'], extra })
  return { servers: [{ host: '127.0.0.1', port: dovecot.imapPort, user, password }], stop: () => dovecot.stop() }
}

const running = await (values.dovecot === true ? startControl() : startOurs())
const began = performance.now()
const seconds = () => ((performance.now() - began) / 1000).toFixed(1)
try {
  const onCheck = ({ commands, checkpoints }: { commands: number; checkpoints: number }) =>
    process.stderr.write(`\r${commands} commands, ${checkpoints} checkpoints, ${seconds()} s `)
  const counts = await check({
    servers: running.servers,
    sessions,
    messages,
    commands,
    roundsPerCheck: 100,
    seed,
    onCheck,
  })
  process.stdout.write(
    `\n${counts.commands} commands of ${sessions} sessions, ${messages} messages, ${counts.checkpoints} checkpoints, seed ${seed}: no violation, ${seconds()} s\n`,
  )
} catch (error) {
  process.stdout.write(`\nviolation, ${(error as Error).message}\n`)
  process.exitCode = 1
} finally {
  await running.stop()
}
