/** How this installation's processes reach mseventd. EVT-03, EVT-13 */
import { createSecureContext } from 'node:tls'
import type { Config } from '../config/config.ts'
import { listenersOf } from '../config/listeners.ts'
import type { EventAddress, EventTls } from '../events/address.ts'
import { loadTls, TlsError } from './tls.ts'

/** Throws TlsError when `msevent_tls` asks for TLS and there is none. A Unix socket does without. */
export async function eventsOf(
  config: Config,
): Promise<{ readonly address: EventAddress; readonly tls: EventTls | undefined }> {
  // Of several, clients use the first.
  const address = listenersOf(config, 'msevent')[0]!
  if ('path' in address || !config.get('msevent_tls')) return { address, tls: undefined }
  const material = await loadTls(config)
  if (!material)
    throw new TlsError('msevent_tls is true, but there is no certificate: set tls_cert_file (and tls_key_file)')
  return {
    address,
    tls: {
      context: createSecureContext(material.context),
      certificates: config.get('msevent_tls_auth') ? material.certificates : [],
    },
  }
}
