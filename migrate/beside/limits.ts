/** The quota of an old server, where the operator has said nothing of the user's here. */
import type { LimitsThere } from '#gateway/backend/imap/quota.ts'
import type { AccountRecord } from '#src/auth/accounts.ts'
import { maxLimit, type QuotaLimit, type QuotaLimits, quotaProperties } from '#src/server/quota-limits.ts'
import type { Findings } from './findings.ts'

/** Properties of the account that is to be made. `limits`: as they would be without. */
export const ownLimits = (there: LimitsThere, limits: QuotaLimits, findings: Findings): AccountRecord['properties'] =>
  (
    [
      ['storage', there.storageKb, limits.storage, 'KB'],
      ['messages', there.messages, limits.messages, 'messages'],
    ] as const
  ).flatMap(([resource, value, here, unit]): AccountRecord['properties'] => {
    // 0 is no limit here.
    if (value === undefined || value === 0 || value > maxLimit) return []
    if (!isOpen(here)) {
      if (here.value !== value)
        findings.notGiven(`quota: ${value} ${unit} there; here it is ${here.value} by the ${words[here.from]}`)
      return []
    }
    findings.given(`quota: ${value} ${unit}`)
    return [[quotaProperties[resource], String(value)]]
  })

const words = { user: 'properties of the account', domain: 'domain_rule', server: 'configuration' } as const

const isOpen = ({ value, from }: QuotaLimit): boolean => from === 'server' && value === 0
