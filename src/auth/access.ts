/** What a user may: use which services (USR-08, IMAP-09), act for everybody (admin_user). */
import { SyntaxFault } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { Config } from '../config/config.ts'
import type { Access, ServiceAccess, ServiceName } from '../config/options/domains.ts'
import { canonicalUserId, defaultDomain } from './user-id.ts'

/** The user's own rule, else the server's, else the one for services without a rule. */
export const serviceAccess = (config: Config, service: ServiceName, own: ServiceAccess = {}): Access =>
  own[service] ?? config.get('accessible_services')[service] ?? config.get('default_new_service_access')

/** Whether it is the user that admin_user names, for logins at this address; without domain it is of the default one there. */
export const isAdminUser = (config: Config, userId: UserId, localAddress: string): boolean => {
  const admin = config.get('admin_user')
  if (admin === undefined || admin === '') return false
  try {
    return canonicalUserId(admin, defaultDomain(config, localAddress)) === userId
  } catch (error) {
    if (error instanceof SyntaxFault) return false
    throw error
  }
}
