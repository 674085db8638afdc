import { StoreError, type StoreErrorKind } from '../base/errors.ts'
import type { Fate } from './types.ts'

type Failed = Extract<Fate, { kind: 'failed' }>
type Reply = readonly [reply: number, status: string]

/** What is not named is to be tried again: nothing is returned to its sender on doubt. RFC 5321 §4.2.3, RFC 3463 */
const replies: Partial<Record<StoreErrorKind, Reply>> = {
  // LMTP-07: the INBOX that lmtp_autocreate=false does not make.
  'not-found': [550, '5.1.1'],
  'too-big': [552, '5.3.4'],
}
const tryAgain: Reply = [451, '4.3.0']

/** Of a recipient whose message could not be stored. QUO-06, LMTP-04 */
export function failedFate(error: unknown, isOverQuotaTemporary: boolean): Failed {
  if (!(error instanceof StoreError)) return failed(tryAgain, 'The message could not be stored; try again later')
  if (error.kind === 'over-quota') return failed(isOverQuotaTemporary ? [452, '4.2.2'] : [552, '5.2.2'], error.message)
  return failed(replies[error.kind] ?? tryAgain, error.message)
}

const failed = ([reply, status]: Reply, text: string): Failed => ({ kind: 'failed', reply, status, text })
