/** The account of somebody whose mail is here. MIG-05; docs/decisions/0260-who-is-moved-at-login.md */
import type { Accounts } from '#src/auth/accounts.ts'
import { routingAttributes } from '#src/auth/routing-attributes.ts'
import { withProperties } from '#src/auth/with-properties.ts'
import { StoreError } from '#src/base/errors.ts'
import type { Log } from '#src/base/log.ts'
import type { PullOrder } from './migration-journal.ts'

/** Makes or enables it; `password` undefined: nobody has shown one. Answers whether there is an account that its user may use. It may throw, and is called again then. */
export type MakeAccount = (order: PullOrder, password: Buffer | undefined) => Promise<boolean>

export type MigrationAccounts = Pick<Accounts, 'find' | 'add' | 'put' | 'matches'>

export const accountMaker =
  (accounts: MigrationAccounts, routing: boolean, log: Log): MakeAccount =>
  async ({ userId, account: wanted }, password) => {
    if (wanted === undefined) return true
    const before = await accounts.find(userId)
    if (password === undefined) return before?.state === 'enabled'
    const named = wanted.properties
    const properties = routing ? [...routingAttributes(userId, named), ...named] : named
    const account = withProperties({ userId, state: 'enabled' }, properties, before)
    if (before !== undefined && wanted.by === 'operator') {
      await accounts.put(account, password)
      return true
    }
    try {
      await accounts.add(account, password)
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind !== 'already-exists') throw error
      log.log('warning', 'the mail was pulled, and meanwhile somebody else made the account: it stays as it is', {})
    }
    return true
  }
