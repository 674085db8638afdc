import type { AccountRecord } from './accounts.ts'

/** The account as it is to be: the named properties replace those that `before` has, the others stay. */
export const withProperties = (
  account: Pick<AccountRecord, 'userId' | 'state'>,
  properties: AccountRecord['properties'],
  before: AccountRecord | undefined,
): AccountRecord => ({
  ...account,
  verifiers: before?.verifiers,
  services: before?.services ?? {},
  properties: [
    ...(before?.properties ?? []).filter(([name]) => !properties.some(([replaced]) => replaced === name)),
    ...properties,
  ],
})
