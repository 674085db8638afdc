/** What a user may: use which services (USR-08, IMAP-09), act for everybody (admin_user) or for the users of a domain (domain_rule). */
import { SyntaxFault } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { Config } from '../config/config.ts'
import type { DomainRule } from '../config/options/domain-rules.ts'
import type { Access, ServiceAccess, ServiceName } from '../config/options/domains.ts'
import { canonicalDomain, canonicalUserId, defaultDomain, domainOf } from './user-id.ts'

/** The user's own rule, else the server's, else the one for services without a rule, as `lmtp` is. */
export const serviceAccess = (config: Config, service: ServiceName | 'lmtp', own: ServiceAccess = {}): Access =>
  (service === 'lmtp' ? undefined : (own[service] ?? config.get('accessible_services')[service])) ??
  config.get('default_new_service_access')

/** The rule of the user's domain. */
export const findDomainRule = (config: Config, userId: UserId): DomainRule | undefined =>
  config.all('domain_rule').find(({ domain }) => orUndefined(() => canonicalDomain(domain)) === domainOf(userId))

/**
 * Whether the user administers the other one (or himself), for logins at this address: admin_user administers all, whoever a rule names the users of its domain. Nobody gets by that what he
 * has not: who administers another domain too, or everybody, is administered by those alone who administer that as well. MST-02
 */
export const administers = (config: Config, userId: UserId, other: UserId, localAddress: string): boolean => {
  if (isAdminUser(config, userId, localAddress)) return true
  if (isAdminUser(config, other, localAddress)) return false
  const rule = findDomainRule(config, other)
  if (rule === undefined || !isAdminBy(rule, userId)) return false
  return config.all('domain_rule').every((some) => !isAdminBy(some, other) || isAdminBy(some, userId))
}

/** Whether there is anybody whom the user, logged in at this address, administers beside himself. */
export const isAdministrator = (config: Config, userId: UserId, localAddress: string): boolean =>
  isAdminUser(config, userId, localAddress) || config.all('domain_rule').some((rule) => isAdminBy(rule, userId))

const isAdminBy = ({ domain, admins }: DomainRule, userId: UserId): boolean =>
  admins.some((admin) => orUndefined(() => canonicalUserId(admin, domain)) === userId)

/** Whether it is the user that admin_user names; without domain it is of the default one there. */
const isAdminUser = (config: Config, userId: UserId, localAddress: string): boolean => {
  const admin = config.get('admin_user')
  if (admin === undefined || admin === '') return false
  return orUndefined(() => canonicalUserId(admin, defaultDomain(config, localAddress))) === userId
}

/** A name that nobody can have is nobody's. */
const orUndefined = <T>(canonical: () => T): T | undefined => {
  try {
    return canonical()
  } catch (error) {
    if (error instanceof SyntaxFault) return undefined
    throw error
  }
}
