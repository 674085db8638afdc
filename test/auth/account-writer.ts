/** Replaces an account again and again, and says each time which version is durable; for accounts.test.ts to kill. */
import { openAccounts } from '#src/auth/accounts.ts'
import type { UserId } from '#src/base/ids.ts'

const [directory = '', start = '0'] = process.argv.slice(2)
const accounts = openAccounts(directory)
for (let n = Number(start) + 1; ; n++) {
  await accounts.put({
    userId: 'joe@a.example' as UserId,
    state: 'disabled',
    verifiers: undefined,
    services: {},
    properties: [['n', String(n)]],
  })
  process.send?.(n)
}
