/** How much mail a user may have: the account's own limits, else those of its domain, else the server's. QUO-01, QUO-02, MST-05 */
import { findDomainRule } from '../auth/access.ts'
import type { AccountRecord, Accounts } from '../auth/accounts.ts'
import { StoreError } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { Config } from '../config/config.ts'

/** Properties of an account, as names of properties are compared: KB of all messages together, and how many. */
export const quotaProperties = { storage: 'mboxMessageSizeQuota', messages: 'mboxMessageCountQuota' } as const
const options = { storage: 'quota_limit', messages: 'quota_messages' } as const
export type QuotaResource = keyof typeof quotaProperties
export const quotaResources: readonly QuotaResource[] = ['storage', 'messages']

/** Of the unit that limits on storage are given in. RFC 9208 §5.1 */
export const octetsPerKb = 1024
/** Above it octets can't be counted exactly. */
export const maxLimit = Math.floor(Number.MAX_SAFE_INTEGER / octetsPerKb)

export interface QuotaLimit {
  /** KB, or messages; 0: no limit. */
  readonly value: number
  /** Whose it is: the user's own, the domain's, the server's. */
  readonly from: 'user' | 'domain' | 'server'
}
/** Of a user: undefined for none, the domain's or the server's count then; what is not named stays. */
export type OwnLimits = Readonly<Partial<Record<QuotaResource, number | undefined>>>
export type QuotaLimits = Readonly<Record<QuotaResource, QuotaLimit>>

/** `account`: undefined for users without one, of a gateway for instance. Throws StoreError damaged at an own limit that is no number. */
export const limitsOf = (config: Config, userId: UserId, account: AccountRecord | undefined): QuotaLimits => {
  const rule = findDomainRule(config, account?.userId ?? userId)
  const ofDomain = { storage: rule?.quotaLimit, messages: rule?.quotaMessages }
  const limit = (resource: QuotaResource): QuotaLimit => {
    const name = quotaProperties[resource]
    const own = account?.properties.find(([other]) => isSame(other, name))?.[1]
    if (own === undefined) {
      const value = ofDomain[resource]
      return value === undefined ? { value: config.get(options[resource]), from: 'server' } : { value, from: 'domain' }
    }
    const value = readLimit(own)
    if (value === undefined)
      throw new StoreError('damaged', `${name} of ${account?.userId} is no whole number: msadm quota set gives another`)
    return { value, from: 'user' }
  }
  return { storage: limit('storage'), messages: limit('messages') }
}

/** Undefined for what is no limit. */
export const readLimit = (text: string): number | undefined =>
  /^\d{1,16}$/.test(text) && Number(text) <= maxLimit ? Number(text) : undefined

/** Throws StoreError not-found for a user without account, unavailable. */
export const setLimits = async (
  accounts: Pick<Accounts, 'find' | 'put'>,
  userId: UserId,
  limits: OwnLimits,
): Promise<void> => {
  const account = await accounts.find(userId)
  if (account === undefined) throw new StoreError('not-found', `there is no account ${userId}`)
  const named = quotaResources.filter((resource) => resource in limits)
  const names = named.map((resource) => quotaProperties[resource])
  const set = named.flatMap((resource): AccountRecord['properties'] => {
    const value = limits[resource]
    return value === undefined ? [] : [[quotaProperties[resource], String(value)]]
  })
  const others = account.properties.filter(([other]) => !names.some((name) => isSame(other, name)))
  const without = names.filter((name) => !set.some(([other]) => other === name))
  await accounts.put({ ...account, properties: [...others, ...set] }, undefined, without)
}

const isSame = (name: string, other: string) => name.toLowerCase() === other.toLowerCase()
