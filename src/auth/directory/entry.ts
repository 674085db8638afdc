/** A user's entry as an account, and back. USR-01, USR-02, USR-05, LDAP-13 */
import type { Entry } from 'ldapts'
import { SyntaxFault } from '../../base/errors.ts'
import type { UserId } from '../../base/ids.ts'
import type { DirectorySettings } from '../../config/directory.ts'
import type { Access, ServiceAccess, ServiceName } from '../../config/options/domains.ts'
import type { AccountRecord, AccountState } from '../accounts.ts'
import { canonicalUserId } from '../user-id.ts'
import { partsOf } from './naming.ts'

export const passwordAttribute = 'userPassword'
const stateAttribute = 'inetUserStatus'
/** Values such as `imap deny`; the manual names no attribute for these rules. USR-08 */
const servicesAttribute = 'mboxServiceAccess'
/** inetLocalMailRecipient has them; the default object classes don't. */
const routingAttributes: readonly string[] = ['maillocaladdress', 'mailroutingaddress', 'mailhost']

/** Kept from a login on; a photograph is not. */
export const loginAttributes = ({ usernameAttribute, passwords }: DirectorySettings): string[] => [
  ...(passwords === 'bind' ? [] : [passwordAttribute]),
  usernameAttribute,
  ...['cn', 'sn', 'givenName', 'displayName', 'mail', 'mailLocalAddress', 'mailRoutingAddress', 'ir-userName'],
  ...[stateAttribute, servicesAttribute, 'mboxRootUserDir', 'mboxMessageSizeQuota', 'mboxMessageCountQuota'],
  ...['mboxBackends', 'isodeMboxMasterBackend', 'isodeMboxMailExpirationPolicy'],
]

export interface DirectoryAccount {
  readonly record: AccountRecord
  readonly dn: string
  /** Values of userPassword that could be read. */
  readonly passwords: readonly Buffer[]
  /** Whether msadm list takes it for an account. */
  readonly isComplete: boolean
}

/** Undefined for an entry without a name that could be a user id, and for one that is marked Deleted. */
export const readEntry = (entry: Entry, settings: DirectorySettings, asked?: UserId): DirectoryAccount | undefined => {
  const attributes = attributesOf(entry)
  const userId = nameOf(attributes.get(settings.usernameAttribute.toLowerCase())?.values ?? [], settings, asked)
  const status = attributes.get(stateAttribute.toLowerCase())?.values[0]
  if (userId === undefined || status?.toLowerCase() === 'deleted') return undefined
  const passwords = attributes.get(passwordAttribute.toLowerCase())?.octets ?? []
  return {
    record: {
      userId,
      state: readState(status),
      verifiers: undefined,
      passwordSchemes: passwords.map((value) => /^\{([^}]{1,30})\}/.exec(value.toString('latin1'))?.[1] ?? 'PLAIN'),
      services: readServices(attributes.get(servicesAttribute.toLowerCase())?.values ?? []),
      properties: [...attributes].flatMap(([key, { name, values }]) =>
        isProperty(key, settings) ? values.map((value) => [name, value] as const) : [],
      ),
    },
    dn: entry.dn,
    passwords,
    isComplete: [...attributes.keys()].some(
      (key) => key === 'userpassword' || key === 'inetuserstatus' || key.startsWith('cmusasl'),
    ),
  }
}

/** Attributes of the state that a record describes, without its name and password; `before` are object classes that are there. */
export const writeEntry = (
  { state, services, properties }: AccountRecord,
  before: readonly string[],
): ReadonlyMap<string, readonly string[]> => {
  const written = new Map<string, string[]>([
    [stateAttribute, [states[state]]],
    [servicesAttribute, Object.entries(services).map(([service, access]) => `${service} ${access}`)],
  ])
  for (const [name, value] of properties) {
    const same = [...written.keys()].find((other) => other.toLowerCase() === name.toLowerCase())
    if (same === undefined) written.set(name, [value])
    else if (!written.get(same)!.includes(value)) written.get(same)!.push(value)
  }
  const routed = [...written.keys()].some((name) => routingAttributes.includes(name.toLowerCase()))
  const recipient = 'inetLocalMailRecipient'
  const has = before.some((name) => name.toLowerCase() === recipient.toLowerCase())
  if (before.length > 0) written.set('objectClass', [...before, ...(routed && !has ? [recipient] : [])])
  return written
}

/** USR-02: cn the part before the @, the naming attribute the whole; inetOrgPerson wants a surname. */
export const nameAttributes = (userId: UserId, { usernameAttribute }: DirectorySettings): Map<string, string[]> => {
  const { local } = partsOf(userId)
  return new Map([
    ['cn', [local]],
    ['sn', [local]],
    [usernameAttribute, [userId]],
  ])
}

/** Names that are no property of an account, in lower case. */
export const isProperty = (name: string, { usernameAttribute }: DirectorySettings): boolean =>
  !['objectclass', 'userpassword', 'authpassword', 'inetuserstatus', 'mboxserviceaccess', 'dn'].includes(name) &&
  name !== usernameAttribute.toLowerCase() &&
  !name.startsWith('cmusasl')

interface AttributeValues {
  /** As the server spells it. */
  readonly name: string
  readonly values: readonly string[]
  readonly octets: readonly Buffer[]
}

/** By name in lower case. ldapts gives one value as itself and several as an array, text where the octets are UTF-8. */
const attributesOf = (entry: Entry): ReadonlyMap<string, AttributeValues> => {
  const attributes = new Map<string, AttributeValues>()
  for (const [name, value] of Object.entries(entry)) {
    if (name === 'dn') continue
    const all: readonly (string | Buffer)[] = Array.isArray(value) ? value : [value]
    if (all.length === 0) continue
    const texts = all.filter((one) => typeof one === 'string' && one.length <= 1024 && !/\p{Cc}/u.test(one))
    attributes.set(name.toLowerCase(), { name, values: texts as string[], octets: all.map((one) => Buffer.from(one)) })
  }
  return attributes
}

const nameOf = (
  values: readonly string[],
  { defaultDomain }: DirectorySettings,
  asked?: UserId,
): UserId | undefined => {
  const names = values.flatMap((value) => {
    if (!value.includes('@') && defaultDomain === undefined) return []
    try {
      return [canonicalUserId(value, defaultDomain ?? '')]
    } catch (error) {
      if (error instanceof SyntaxFault) return []
      throw error
    }
  })
  if (asked === undefined) return names[0]
  // The directory compares without case; the account has one name, as the directory spells it. USR-07
  return names.find((name) => name === asked) ?? names.find((name) => name.toLowerCase() === asked.toLowerCase())
}

const states: Readonly<Record<AccountState, string>> = {
  enabled: 'Active',
  disabled: 'Inactive',
  migrating: 'Migrating',
}

/** What is not known lets nobody in. */
const readState = (status: string | undefined): AccountState => {
  if (status === undefined) return 'enabled'
  const found = Object.entries(states).find(([, text]) => text.toLowerCase() === status.toLowerCase())
  return (found?.[0] as AccountState | undefined) ?? 'disabled'
}

const serviceNames: readonly string[] = ['imap', 'pop', 'sieve'] satisfies readonly ServiceName[]

/** A rule that is not understood denies: who wrote it meant to limit something. */
const readServices = (values: readonly string[]): ServiceAccess => {
  const rules: { [name in ServiceName]?: Access } = {}
  for (const value of values) {
    const [service = '', access] = value.toLowerCase().split(/\s+/)
    if (serviceNames.includes(service)) rules[service as ServiceName] = access === 'allow' ? 'allow' : 'deny'
  }
  return rules
}
