/** imapd: the IMAP daemon. A process per core shares the port; each serves its sessions over its own view of the store. */

import { createAuthenticator } from '../auth/authenticator.ts'
import { onDismissal } from '../events/dismissal.ts'
import { onReplacement } from '../events/replacement.ts'
import { bringFromMsSyncd } from '../server/announced-mail.ts'
import { runDaemon } from '../server/daemon.ts'
import { openMailStore } from '../server/mail-store.ts'
import { serveClients } from '../server/serve.ts'
import type { Daemon, RunningDaemon, Runtime } from '../server/types.ts'
import type { CommitNotice, TreeNotice } from '../store/types.ts'
import { MailNews } from './mail-news.ts'
import { MetadataChanges } from './metadata-changes.ts'
import { Session } from './session.ts'
import { settingsOf } from './settings.ts'

export const imapd: Daemon = { name: 'imapd', workers: 'per-core', start }

async function start(runtime: Runtime): Promise<RunningDaemon> {
  const { config, log, clock, events } = runtime
  let settings = settingsOf(config)
  const mailNews = new MailNews(events, log)
  const own = {
    onCommit: (notice: CommitNotice) => mailNews.onCommit(notice),
    onTree: (notice: TreeNotice) => mailNews.onTree(notice),
  }
  const store = openMailStore({ ...runtime, bring: bringFromMsSyncd(runtime.events), own })
  const authenticator = createAuthenticator({ config, log, clock, ask: events.ask.bind(events), bus: events })
  const services = {
    settings: () => settings,
    log,
    clock,
    events,
    store,
    quotas: store.quotas,
    mailNews,
    metadataChanges: new MetadataChanges(events),
    authenticator,
  }
  const clients = await serveClients(runtime, {
    plain: 'imap',
    ...(config.get('enable_imaps') ? { tls: 'imaps' } : {}),
    refusal: '* BYE Too many connections, try again later\r\n',
    serve: (connection) => new Session(connection, services).run(),
  })
  // The passwords that a new ms_syncd would poll with come with a new login only.
  const stopWatching =
    config.get('gateway_mode') || config.get('sync_mode')
      ? onReplacement(events, 'gw', () => clients.dismiss('the gateway was restarted, please log in again'))
      : () => {}
  const stopHearing = onDismissal(events, (user, reason) => clients.dismiss(reason, user))
  return {
    addresses: clients.addresses,
    async stop(graceMs) {
      stopWatching()
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

if (import.meta.main) await runDaemon(imapd)
