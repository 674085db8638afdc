/** What a later look at both sides finds: `msadm verify-migration`. */

/** `isExplained` of those that follow from what users, and the old server, did since. */
export const findingTexts = {
  'missing-here': 'the old server has it, and it is not here',
  'not-given': 'the old server lists it and does not give it now: it can not be compared',
  octets: 'its octets are others than at the old server',
  damaged: 'its octets are others than when it was stored',
  flags: 'its flags are others than at the old server',
  date: 'its INTERNALDATE is another than at the old server',
  uid: 'its UID is another than at the old server: a client fetches it again',
  uidl: 'its unique-id is another than at the old server: a client fetches it again',
  order: 'messages are in another order than at the old server',
  uidvalidity: 'UIDVALIDITY is another than at the old server: a client fetches the whole mailbox again',
  'mailbox-missing': 'the mailbox has no like here',
  'mailbox-left-out': 'the old server lists the mailbox and does not open it: it can not be compared',
  'extra-here': 'it is here, and the old server does not have it',
} as const

export type FindingKind = keyof typeof findingTexts

export type Finding = {
  readonly kind: FindingKind
  /** It follows from what users, or the old server, did since the mail was pulled. */
  readonly isExplained: boolean
  readonly from?: string
  readonly id?: string
  readonly mailbox?: string
  readonly uid?: number
  readonly detail?: string
}

export type Verification = {
  readonly account: string
  /** ISO 8601, UTC. */
  readonly made: string
  readonly listed: number
  /** On both sides, octets read on both. */
  readonly compared: number
  /** Of these. */
  readonly octets: number
  /** With a digest that differs on neither side. */
  readonly same: number
  readonly findings: number
  /** Of those. */
  readonly explained: number
}
