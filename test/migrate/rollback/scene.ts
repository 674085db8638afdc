/** A user who was moved from a real Dovecot and worked here since, and his way back. */
import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { RollbackAnswer } from '#src/auth/rollback-questions.ts'
import { connected } from '#src/cli/event-bus.ts'
import { configOf } from '#src/config/config.ts'
import type { EventBus, Json } from '#src/events/types.ts'
import { type Dovecot, startDovecot } from '../../support/dovecot.ts'
import { sampleMessages } from '../../support/messages.ts'
import { RawImap } from '../../support/raw-imap.ts'
import { startWherry, type Wherry } from '../../support/wherry.ts'
import type { SeenAccount } from '../campaign/read-imap.ts'

const modes = { gateway_mode: false, auto_migrate: true, ms_syncd_host: '127.0.0.1' }

export type Done = Extract<RollbackAnswer, { ok: true }>

export interface Scene extends AsyncDisposable {
  readonly dovecot: Dovecot
  readonly wherry: Wherry
  msadm(...words: string[]): Promise<{ readonly stdout: string; readonly stderr: string; readonly code: number }>
  /** Another one. */
  connect(): Promise<EventBus>
  /** What ms_syncd answers; a refusal is thrown. */
  ask(request: Json): Promise<Done>
}

/** `users` with mail in three mailboxes each at Dovecot, who are moved over IMAP, and `popUsers`, over POP3. */
export const startScene = async (
  users: readonly string[],
  popUsers: readonly string[],
  messages: number,
): Promise<Scene> => {
  const dovecot = await startDovecot({
    users: Object.fromEntries([...users, ...popUsers].map((user) => [user, 'secret'])),
    protocols: popUsers.length === 0 ? ['imap'] : ['imap', 'pop3'],
  })
  for (const user of popUsers) await dovecot.fill(user, sampleMessages(10))
  for (const user of users) {
    await dovecot.fill(user, sampleMessages(messages))
    await dovecot.fill(user, sampleMessages(Math.ceil(messages / 3), 2), 'Projects')
    await dovecot.fill(user, sampleMessages(Math.ceil(messages / 4), 3), 'Lists')
    await using old = await RawImap.connect(dovecot.imapPort)
    await old.login(user, 'secret')
    await old.command('SUBSCRIBE Lists')
    await old.command('SELECT INBOX')
    await old.command('STORE 1:7 +FLAGS.SILENT (\\Seen todo)')
  }
  const records = popUsers.map(
    (user) =>
      `<user frontend_id='${user}@gateway.example' backend_id='${user}' host='127.0.0.1' port='${dovecot.pop3Port}' protocol='pop'/>`,
  )
  const wherry = await startWherry({
    options: { ...modes, ms_syncd_protocol: 'imap', ms_syncd_port: dovecot.imapPort },
    userDatabase: `<xmldb>${records.join('')}</xmldb>`,
  })
  const connect = () => connected(configOf({ msevent_host: join(wherry.directory, 'mseventd.sock') }), 'test')
  const bus = await connect()
  const msadm: Scene['msadm'] = (...words) =>
    promisify(execFile)(resolve(import.meta.dirname, '../../../bin/msadm'), ['-c', wherry.configFile, ...words]).then(
      ({ stdout, stderr }) => ({ stdout, stderr, code: 0 }),
      (error: { stdout: string; stderr: string; code: number }) => error,
    )
  return {
    dovecot,
    wherry,
    msadm,
    connect,
    ask: async (request) => {
      const answer = (await bus.ask('ms_sync', request, { secret: true, timeoutMs: 120_000 })) as RollbackAnswer
      if (!answer.ok) throw new Error(answer.text)
      return answer
    },
    [Symbol.asyncDispose]: async () => {
      await bus.close()
      await wherry.stop()
      await dovecot.stop()
    },
  }
}

/** What two servers have of an account, without UIDs: those differ where something was put there. */
export const contentOf = ({ mailboxes, subscribed }: SeenAccount) => ({
  mailboxes: Object.fromEntries(
    [...mailboxes].map(([name, { messages }]) => [
      name,
      messages.map(({ digest, flags, received }) => `${digest} (${flags}) ${received}`).sort(),
    ]),
  ),
  // A new account here begins with a subscription to INBOX.
  subscribed: [...subscribed].filter((name) => name !== 'INBOX').sort(),
})
