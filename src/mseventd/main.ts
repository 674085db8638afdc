/** mseventd: carries events and requests between the services. EVT-01 to EVT-13 */

import { type Config, placeOf } from '../config/config.ts'
import { listenersOf } from '../config/listeners.ts'
import { runDaemon } from '../server/daemon.ts'
import { loadTls, TlsError, type TlsMaterial } from '../server/tls.ts'
import type { Daemon } from '../server/types.ts'
import { startHub } from './serve.ts'

/** One process: it keeps what connects the others in memory. */
export const mseventd: Daemon = {
  name: 'mseventd',
  workers: 'one',
  async start({ config, log, clock }) {
    const listeners = listenersOf(config, 'msevent')
    const place = placeOf(config, 'msevent_port', 'msevent_host')
    const hub = await startHub({ listeners, place, tls: await tlsOf(config), clock, log })
    return {
      addresses: hub.addresses,
      stop: () => hub.stop(),
      async reload(next) {
        // Whether TLS is spoken at all changes with a restart (msevent_tls), its material now.
        if (!config.get('msevent_tls') || !next.get('msevent_tls')) return []
        hub.useTls((await tlsOf(next))!)
        return []
      },
    }
  },
}

/** Throws TlsError when `msevent_tls` asks for TLS and there is none. */
async function tlsOf(config: Config): Promise<TlsMaterial | undefined> {
  if (!config.get('msevent_tls')) return undefined
  const material = await loadTls(config)
  if (!material)
    throw new TlsError('msevent_tls is true, but there is no certificate: set tls_cert_file (and tls_key_file)')
  return material
}

if (import.meta.main) await runDaemon(mseventd)
