/** pop3d: the POP3 daemon. A process per core shares the port. POP-01 */
import { createAuthenticator } from '../auth/authenticator.ts'
import { runDaemon } from '../server/daemon.ts'
import { serveClients } from '../server/serve.ts'
import type { Daemon, RunningDaemon, Runtime } from '../server/types.ts'
import { openStore } from '../store/store.ts'
import { Session } from './session.ts'
import { settingsOf } from './settings.ts'

export const pop3d: Daemon = { name: 'pop3d', workers: 'per-core', start }

async function start(runtime: Runtime): Promise<RunningDaemon> {
  const { config, log, clock, events } = runtime
  let settings = settingsOf(config)
  const store = openStore({
    root: config.get('userdir'),
    log,
    clock,
    summarize: () => {
      throw new Error('POP3 needs no summaries')
    },
    onCommit: ({ userId, mailbox, added, updated, expunged }) =>
      events.publish({ topic: `mbox:${userId}`, name: 'mailbox', fields: { mailbox, added, updated, expunged } }),
  })
  const authenticator = createAuthenticator({ config, log, clock, ask: events.ask.bind(events) })
  const services = { settings: () => settings, log, clock, events, store, authenticator }
  const clients = await serveClients(runtime, {
    plain: 'pop3',
    ...(config.get('enable_pop3s') ? { tls: 'pop3s' } : {}),
    refusal: '-ERR [SYS/TEMP] too many connections, try again later\r\n',
    serve: (connection) => new Session(connection, services).run(),
  })
  return {
    addresses: clients.addresses,
    async stop(graceMs) {
      await clients.stop(graceMs)
      await store.close()
    },
    async reload(next) {
      const restart = await clients.reload(next)
      authenticator.reload(next)
      settings = settingsOf(next)
      return restart
    },
  }
}

if (import.meta.main) await runDaemon(pop3d)
