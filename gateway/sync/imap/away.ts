/** Messages of an IMAP backend that a submission server took (`smtp_injection`) and that have not come back yet. GW-23 */
import type { Uid } from '#src/base/ids.ts'
import type { Account } from '#src/store/types.ts'
import { forgetInjected, readInjected } from '../inject/journal.ts'
import type { HereState } from './here.ts'
import { parseOrigin } from './origin.ts'
import type { ThereState } from './plan.ts'

export interface Away {
  /** UIDs there; they are not to be fetched again. */
  readonly uids: ReadonlySet<Uid>
  /** Some may still come. What the backend told of them meanwhile has to be told again then. */
  readonly isAwaited: boolean
}

/** Longer than mail servers usually take; what has not come back by then was probably thrown away by a filter. */
const awaitedSeconds = 86_400

/** `now`: seconds since 1970. Forgets what the backend has no more. */
export async function readAway(
  account: Account,
  { url, uidValidity }: { readonly url: string; readonly uidValidity: number },
  { here, departed }: Pick<HereState, 'here' | 'departed'>,
  there: ThereState,
  now: number,
): Promise<Away> {
  const isWholeListing = there.complete && there.flags.size === there.exists
  const uids = new Set<Uid>()
  const gone: string[] = []
  let isAwaited = false
  for (const [origin, { submittedAt }] of await readInjected(account, `${url}${uidValidity}/`)) {
    const uid = parseOrigin(url, origin)?.uid
    if (uid === undefined || here.has(uid) || departed.has(uid)) continue
    if (isWholeListing && !there.flags.has(uid)) gone.push(origin)
    else if (submittedAt !== undefined) {
      uids.add(uid)
      isAwaited ||= now - submittedAt < awaitedSeconds
    }
  }
  await forgetInjected(account, gone)
  return { uids, isAwaited }
}
