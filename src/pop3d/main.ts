/** pop3d: the POP3 daemon. A process per core shares the port. POP-01 */
import { createAuthenticator } from '../auth/authenticator.ts'
import { onDismissal } from '../events/dismissal.ts'
import { bringFromMsSyncd } from '../server/announced-mail.ts'
import { runDaemon } from '../server/daemon.ts'
import { openMailStore } from '../server/mail-store.ts'
import { serveClients } from '../server/serve.ts'
import type { Daemon, RunningDaemon, Runtime } from '../server/types.ts'
import { Session } from './session.ts'
import { settingsOf } from './settings.ts'

/** Started by `runDaemon`, or by whoever embeds it. */
export const pop3d: Daemon = { name: 'pop3d', workers: 'per-core', start }

async function start(runtime: Runtime): Promise<RunningDaemon> {
  const { config, log, clock, events } = runtime
  let settings = settingsOf(config)
  const store = openMailStore({ ...runtime, bring: bringFromMsSyncd(runtime.events) })
  const authenticator = createAuthenticator({ config, log, clock, ask: events.ask.bind(events), bus: events })
  const services = { settings: () => settings, log, clock, events, store, authenticator }
  const clients = await serveClients(runtime, {
    plain: 'pop3',
    ...(config.get('enable_pop3s') ? { tls: 'pop3s' } : {}),
    refusal: '-ERR [SYS/TEMP] too many connections, try again later\r\n',
    serve: (connection) => new Session(connection, services).run(),
  })
  const stopHearing = onDismissal(events, (user, reason) => clients.dismiss(reason, user))
  return {
    addresses: clients.addresses,
    async stop(graceMs) {
      stopHearing()
      await clients.stop(graceMs)
      await store.close()
      await authenticator.close()
    },
    async reload(next) {
      const restart = await clients.reload(next)
      authenticator.reload(next)
      store.reload(next)
      settings = settingsOf(next)
      return restart
    },
  }
}

if (import.meta.main) await runDaemon(pop3d)
