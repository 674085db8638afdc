/** Which services a user may use. USR-08, IMAP-09 */
import type { Config } from '../config/config.ts'
import type { Access, ServiceAccess, ServiceName } from '../config/options/domains.ts'

/** The user's own rule, else the server's, else the one for services without a rule. */
export const serviceAccess = (config: Config, service: ServiceName, own: ServiceAccess = {}): Access =>
  own[service] ?? config.get('accessible_services')[service] ?? config.get('default_new_service_access')
