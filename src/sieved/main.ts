/** sieved: the ManageSieve daemon. One process does for all users: they look at their scripts now and then. MS-01 */
import { createAuthenticator } from '../auth/authenticator.ts'
import { onDismissal } from '../events/dismissal.ts'
import { formatResponse } from '../proto/managesieve/response.ts'
import { runDaemon } from '../server/daemon.ts'
import { openMailStore } from '../server/mail-store.ts'
import { serveClients } from '../server/serve.ts'
import type { Daemon, RunningDaemon, Runtime } from '../server/types.ts'
import { Session } from './session.ts'
import { settingsOf } from './settings.ts'

/** Started by `runDaemon`, or by whoever embeds it. */
export const sieved: Daemon = { name: 'sieved', workers: 'one', start }

async function start(runtime: Runtime): Promise<RunningDaemon> {
  const { config, log, clock, events } = runtime
  let settings = settingsOf(config)
  const store = openMailStore(runtime)
  const authenticator = createAuthenticator({ config, log, clock, ask: events.ask.bind(events), bus: events })
  const services = { settings: () => settings, log, clock, events, store, authenticator }
  const clients = await serveClients(runtime, {
    plain: 'sieve',
    refusal: formatResponse('BYE', 'too many connections, try again later', 'TRYLATER').toString(),
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

if (import.meta.main) await runDaemon(sieved)
