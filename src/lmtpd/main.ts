/** lmtpd: takes mail from mail servers. A process per core shares a TCP port; a Unix socket is the first one's. LMTP-01 */
import { openAccountSource } from '../auth/account-source.ts'
import { createAuthenticator } from '../auth/authenticator.ts'
import type { MigrationList } from '../auth/migration-questions.ts'
import type { UserId } from '../base/ids.ts'
import { runDaemon } from '../server/daemon.ts'
import { delivererOf, openTrack } from '../server/delivery.ts'
import { createFilter } from '../server/filter.ts'
import { openMailStore } from '../server/mail-store.ts'
import { serveClients } from '../server/serve.ts'
import type { Daemon, RunningDaemon, Runtime } from '../server/types.ts'
import { createRecipients } from './recipients.ts'
import { Session } from './session.ts'
import { settingsOf } from './settings.ts'
import { socketOwnerOf } from './socket-owner.ts'

/** Started by `runDaemon`, or by whoever embeds it. */
export const lmtpd: Daemon = { name: 'lmtpd', workers: 'per-core', start }

/** A mail server waits. */
const questionMs = 20_000

async function start(runtime: Runtime): Promise<RunningDaemon> {
  const { config, log, clock, events } = runtime
  let inForce = config
  let settings = settingsOf(config)
  const store = openMailStore(runtime)
  const accounts = openAccountSource({ config, log, clock })
  const authenticator = createAuthenticator({ config, log, clock, ask: events.ask.bind(events), bus: events })
  const isGivenBack = async (userId: UserId) => {
    const question = { type: 'migration-list', userIds: [userId] }
    const { migrations } = (await events.ask('ms_sync', question, { timeoutMs: questionMs })) as MigrationList
    return migrations.some(({ state }) => state === 'rolling-back' || state === 'rolled-back')
  }
  const recipients = createRecipients({ config, accounts, store, quotas: store.quotas, isGivenBack })
  const parts = { config: () => inForce, store, clock, log }
  const track = openTrack(parts)
  const sieve = createFilter({ ...parts, config, accounts, track })
  const deliverer = delivererOf(parts, track, sieve.filter)
  const services = { settings: () => settings, log, clock, events, recipients, deliverer, authenticator }
  const clients = await serveClients(runtime, {
    plain: 'lmtp',
    socketOwner: socketOwnerOf(config),
    refusal: '421 4.3.2 too many connections, try again later\r\n',
    serve: (connection) => new Session(connection, services).run(),
  })
  sieve.start()
  return {
    addresses: clients.addresses,
    async stop(graceMs) {
      await clients.stop(graceMs)
      await sieve.stop(graceMs)
      await track.close()
      await store.close()
      await accounts.close()
      await authenticator.close()
    },
    async reload(next) {
      const restart = await clients.reload(next)
      authenticator.reload(next)
      accounts.reload(next)
      store.reload(next)
      recipients.reload(next)
      sieve.reload(next)
      inForce = next
      settings = settingsOf(next)
      return restart
    },
  }
}

if (import.meta.main) await runDaemon(lmtpd)
