/** What the server can do for this client now, as lines. RFC 5804 §1.7 */
import { formatCapability } from '../proto/managesieve/response.ts'
import { capabilities } from '../sieve/compile.ts'
import type { Session } from './session.ts'

/** Of notification methods: the schemes of their URIs. */
const notifyMethods = 'mailto'

export function capabilitiesOf({ connection, services, userId }: Session): readonly Buffer[] {
  const { mechanisms } = services.authenticator.offer(connection.channel, 'sieve')
  const extensions = capabilities()
  return [
    formatCapability('IMPLEMENTATION', 'Wherry'),
    formatCapability('VERSION', '1.0'),
    formatCapability('SASL', mechanisms.join(' ')),
    formatCapability('SIEVE', extensions.join(' ')),
    ...(userId === undefined && connection.canUpgrade ? [formatCapability('STARTTLS')] : []),
    ...(extensions.includes('enotify') ? [formatCapability('NOTIFY', notifyMethods)] : []),
    formatCapability('MAXREDIRECTS', String(services.settings().maxRedirects)),
    ...(userId === undefined ? [] : [formatCapability('OWNER', userId)]),
    formatCapability('UNAUTHENTICATE'),
  ]
}
