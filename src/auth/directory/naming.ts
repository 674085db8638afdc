/**
 * Which entry belongs to a user id. What comes from users goes into filters as values and into DNs through ldapts' escaping; only what
 * the operator configured is taken as it stands. AUTH-11, USR-02
 */

import type { BerWriter } from 'ldapts'
import { AndFilter, Control, DN, EqualityFilter, Filter, FilterParser, OrFilter } from 'ldapts'
import type { UserId } from '../../base/ids.ts'
import { OptionFault } from '../../config/certificate-files.ts'
import type { DirectorySettings } from '../../config/directory.ts'

export interface EntrySearch {
  readonly base: string
  readonly filter: Filter
}

/** Throws OptionFault. */
export const userFilter = ({ userFilter }: Pick<DirectorySettings, 'userFilter'>): Filter => {
  try {
    return FilterParser.parseString(userFilter)
  } catch (cause) {
    throw new OptionFault('ldapdb_user_filter', 'is not a filter of RFC 4515; (objectclass=mboxUser) is one', { cause })
  }
}

/** USR-06: the entry of a user's domain. `domains`: of the settings. Throws OptionFault. */
export const domainSearch = (
  userId: UserId,
  { searchSuffix, mappingSuffix }: Pick<DirectorySettings, 'searchSuffix' | 'mappingSuffix'>,
  { attribute, filter }: NonNullable<DirectorySettings['domains']>,
): EntrySearch => {
  const named = new EqualityFilter({ attribute, value: partsOf(userId).domain })
  const [start = '', middle, ...rest] = filter.split('%s')
  // (objectclass=domain), the manual's example, names none: every domain would be it.
  const text = middle === undefined ? start : [start, attribute, middle, Filter.escape(named.value), ...rest].join('')
  try {
    const parsed = FilterParser.parseString(text)
    return {
      base: mappingSuffix ?? searchSuffix ?? '',
      filter: rest.length > 0 ? parsed : new AndFilter({ filters: [parsed, named] }),
    }
  } catch (cause) {
    throw new OptionFault('ldapdb_domain_filter', 'is not a filter of RFC 4515; (objectclass=domain) is one', { cause })
  }
}

/** Names without domain in the directory belong to saslDefaultDomain. `base`: where the users of the domain are. */
export const searchOf = (userId: UserId, settings: DirectorySettings, base?: string): EntrySearch => {
  const { usernameAttribute: attribute, defaultDomain, searchSuffix } = settings
  const { local, domain } = partsOf(userId)
  const names = [userId, ...(domain === defaultDomain ? [local] : [])].map(
    (value) => new EqualityFilter({ attribute, value }),
  )
  return {
    base: base ?? searchSuffix ?? domainDn(domain, settings),
    filter: new AndFilter({ filters: [userFilter(settings), new OrFilter({ filters: names })] }),
  }
}

/** LDAP-13: below the domain's entry named by cn; without saslDCMappingSuffix in the search base, named by the whole id. */
export const newEntryDn = (userId: UserId, settings: DirectorySettings, domainEntry?: string): string => {
  const { mappingSuffix, searchSuffix, usernameAttribute, domains } = settings
  const { local, domain } = partsOf(userId)
  if (mappingSuffix !== undefined || domains !== undefined)
    return `${new DN().addPairRDN('cn', local).toString()},${domainEntry ?? domainDn(domain, settings)}`
  return `${new DN().addPairRDN(usernameAttribute, userId).toString()},${searchSuffix}`
}

/**
 * The DN of a user's entry under another name: an entry named by something else than cn or the naming attribute keeps it, one in another place
 * than msadm puts it stays there as long as the domain is the same. `dn` undefined: where msadm puts it.
 */
export const renamedDn = (dn: string | undefined, to: UserId, settings: DirectorySettings): string => {
  const usual = newEntryDn(to, settings)
  if (dn === undefined) return usual
  const { local } = partsOf(to)
  const parent = parentDn(dn)
  if (isNamedBy(dn, settings.usernameAttribute))
    return `${new DN().addPairRDN(settings.usernameAttribute, to).toString()},${parent}`
  if (!isNamedBy(dn, 'cn')) return dn
  const named = `${new DN().addPairRDN('cn', local).toString()},${parent}`
  const { mappingSuffix } = settings
  const isBelowDomain = mappingSuffix !== undefined && parent.toLowerCase().endsWith(`,${mappingSuffix.toLowerCase()}`)
  return isBelowDomain && parent.toLowerCase().startsWith('dc=') ? usual : named
}

/** Whether the entry's own part of a DN is of this attribute. */
export const isNamedBy = (dn: string, attribute: string): boolean =>
  dn.slice(0, dn.indexOf('=')).trim().toLowerCase() === attribute.toLowerCase()

const parentDn = (dn: string): string => dn.slice(dn.search(/[^\\],/) + 2)

/** The entries of a domain below saslDCMappingSuffix, the highest first. */
export const domainEntries = (
  userId: UserId,
  settings: DirectorySettings,
): { readonly dn: string; readonly attribute: string; readonly value: string }[] => {
  const { domain } = partsOf(userId)
  if (settings.domains !== undefined)
    return [{ dn: domainDn(domain, settings), attribute: settings.domains.attribute, value: domain }]
  const labels = domain.split('.')
  return labels
    .map((value, index) => ({ dn: domainDn(labels.slice(index).join('.'), settings), attribute: 'dc', value }))
    .reverse()
}

export const partsOf = (userId: string) => {
  const at = userId.lastIndexOf('@')
  return { local: userId.slice(0, at), domain: userId.slice(at + 1) }
}

/** Where a domain's entry is made, and is without saslDomainAttribute. */
const domainDn = (domain: string, { mappingSuffix, searchSuffix, domains }: DirectorySettings): string => {
  const dn = new DN()
  if (domains !== undefined)
    return `${dn.addPairRDN(domains.attribute, domain).toString()},${mappingSuffix ?? searchSuffix}`
  for (const label of domain.split('.')) dn.addPairRDN('dc', label)
  return `${dn.toString()},${mappingSuffix}`
}

/** RFC 4370 §3 */
export class ProxiedAuthorization extends Control {
  readonly #authzId: string
  constructor(authzId: string) {
    super('2.16.840.1.113730.3.4.18', { critical: true })
    this.#authzId = authzId
  }
  protected override writeControl(writer: BerWriter): void {
    writer.writeString(this.#authzId)
  }
}
