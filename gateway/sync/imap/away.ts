/** Messages of an IMAP backend that a submission server took (`smtp_injection`) and that have not come back yet, or that a server of the site refused. GW-23, GW-24 */
import type { Uid } from '#src/base/ids.ts'
import type { Account, Mailbox } from '#src/store/types.ts'
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

/** UIDs there of what is remembered. */
export async function uidsInjected(
  account: Account,
  { url, uidValidity, mailbox }: { readonly url: string; readonly uidValidity: number; readonly mailbox: Mailbox },
): Promise<readonly Uid[]> {
  const injected = await readInjected(account, mailbox.id, `${url}${uidValidity}/`)
  return [...injected.keys()].flatMap((origin) => parseOrigin(url, origin)?.uid ?? [])
}

/** `now`: seconds since 1970. Forgets what the backend has no more. */
export async function readAway(
  account: Account,
  { url, uidValidity, mailbox }: { readonly url: string; readonly uidValidity: number; readonly mailbox: Mailbox },
  { here, departed }: Pick<HereState, 'here' | 'departed'>,
  there: ThereState,
  now: number,
): Promise<Away> {
  const isWholeListing = there.complete && there.flags.size === there.exists
  const vanished = new Set(there.vanished)
  const uids = new Set<Uid>()
  const gone: string[] = []
  let isAwaited = false
  for (const [origin, { submittedAt, refusedAt }] of await readInjected(account, mailbox.id, `${url}${uidValidity}/`)) {
    const uid = parseOrigin(url, origin)?.uid
    if (uid === undefined || here.has(uid) || departed.has(uid)) continue
    if (vanished.has(uid) || (isWholeListing && !there.flags.has(uid))) gone.push(origin)
    else if (submittedAt !== undefined || refusedAt !== undefined) {
      uids.add(uid)
      isAwaited ||= submittedAt !== undefined && now - submittedAt < awaitedSeconds
    }
  }
  await forgetInjected(account, mailbox.id, gone)
  return { uids, isAwaited }
}
