/** Which mail of a user is to go. EXP-01, EXP-02, EXP-03 */
import type { AccountRecord } from '../../../auth/accounts.ts'
import type { Config } from '../../../config/config.ts'
import { type ExpiryRule, readExpiryRule } from '../../../config/expiry-rule.ts'
import { CommandError } from '../command.ts'

const property = 'isodeMboxMailExpirationPolicy'.toLowerCase()

/** A mailbox, and the age in seconds at which its messages go. */
export interface Expiring {
  readonly mailbox: string
  readonly seconds: number
}

/** The user's own values, where there are any, instead of the server's. Throws CommandError for a value that says neither: then nothing goes. */
export const expiringOf = ({ userId, properties }: AccountRecord, config: Config): readonly Expiring[] => {
  const own = properties.filter(([name]) => name.toLowerCase() === property).map(([, value]) => value)
  const rules =
    own.length === 0
      ? config.all('expiration_policy').filter((rule) => rule !== undefined)
      : own.map((value): ExpiryRule => {
          const rule = readExpiryRule(value)
          if (rule !== undefined) return rule
          throw new CommandError(`${JSON.stringify(value)} of ${userId} is no rule; write INBOX$86400 or INBOX$NONE`)
        })
  const ages = new Map<string, number>()
  const kept = new Set<string>()
  for (const { mailbox, seconds } of rules) {
    const name = mailbox.toUpperCase() === 'INBOX' ? 'INBOX' : mailbox
    if (seconds === undefined) kept.add(name)
    // Of several the one that deletes least.
    else ages.set(name, Math.max(seconds, ages.get(name) ?? 0))
  }
  return [...ages].filter(([name]) => !kept.has(name)).map(([mailbox, seconds]) => ({ mailbox, seconds }))
}
