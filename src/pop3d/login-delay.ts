/**
 * The least time between two logins of a user, RFC 2449 §6.6. The moment of the last login is kept in the account's own log,
 * where every process and every machine that shares the store finds it.
 */
import type { Clock } from '../base/clock.ts'
import type { Account } from '../store/types.ts'
import { Refusal } from './replies.ts'

/** Its value: milliseconds since 1970. */
const key = 'pop.login'

/** Records a login. Throws Refusal when the last one is too recent, and then records nothing; StoreError. */
export async function recordLogin(account: Account, delaySeconds: number, clock: Clock): Promise<void> {
  if (delaySeconds === 0) return
  const last = await account.get(key)
  const now = clock.now()
  // A moment in the near future is that of a machine whose clock goes before ours; one far ahead is a clock that was wrong.
  const apartMs = typeof last === 'number' ? Math.abs(now - last) : Infinity
  const waitMs = delaySeconds * 1000 - apartMs
  if (waitMs > 0)
    throw new Refusal(
      `logins have to be ${delaySeconds} seconds apart, try again in ${Math.ceil(waitMs / 1000)} seconds`,
      'LOGIN-DELAY',
    )
  await account.put({ [key]: now })
}
