/** What ms_syncd is asked about proofs of migrations, over the event bus. docs/mpp.md */
import type { Json } from '../events/types.ts'

export type ProofRequest = {
  /** migration-certify: makes a certificate; migration-verify: reads both sides again. */
  readonly type: 'migration-certify' | 'migration-verify'
  /** As it was given. */
  readonly user: string
  /** Canonical. */
  readonly userId: string
  /** Base64 of the octets, at the old server; missing: the record of ms_sync.xml has one. */
  readonly password?: string
}

/** How far it is: a ProofProgressAnswer, or null while nothing is under way. */
export type ProofProgressRequest = { readonly type: 'migration-proof'; readonly userId: string }

export type ProofProgressAnswer = {
  readonly what: string
  readonly messages: number
  readonly of: number
  readonly octets: number
  readonly secondsLeft?: number
}

/** `file`: the certificate, or the findings; what else is in it is that file's statement or summary. */
export type ProofAnswer =
  | ({ readonly ok: true; readonly userId: string; readonly file: string } & { readonly [key: string]: Json })
  | { readonly ok: false; readonly kind: string; readonly text: string }
