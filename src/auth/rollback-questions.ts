/** What ms_syncd is asked and told when accounts are given back to the old server, over the event bus. docs/mpp.md */

export type RollbackRequest =
  | {
      readonly type: 'rollback'
      /** Canonical. */
      readonly userId: string
      /** At the old server, base64 of the octets; absent: the record of ms_sync.xml has one, or the migration keeps it. */
      readonly password?: string
      /** Both sides are compared, and nothing is changed. */
      readonly dryRun?: true
      /** What the old server can't have, or doesn't take, stays here, where its user does not see it any more. */
      readonly leavesBehind?: true
    }
  /** The account stays here. */
  | { readonly type: 'rollback-cancel'; readonly userId: string }

export const differenceKinds = [
  /** Here, in a mailbox that goes to no old server: one of POP3 takes nothing. */
  'not-carried',
  /** Here, and not there. */
  'missing-there',
  /** A copy of a message that is there, and not there itself. */
  'copy-missing-there',
  /** Came from there, is not listed there any more, and stays here. */
  'gone-there',
  /** There at its old place. */
  'moved-here',
  /** There, and deleted here. */
  'deleted-here',
  'flags',
  /** A keyword that the old server keeps for no message. */
  'keyword-not-kept',
  'date',
  'octets',
  'mailbox-missing-there',
  /** There, and removed here. */
  'mailbox-removed-here',
  /** There, and not brought here. */
  'mailbox-missing-here',
  'mailbox-name',
  'subscription',
] as const
export type DifferenceKind = (typeof differenceKinds)[number]

export type RollbackDifference = {
  readonly kind: DifferenceKind
  /** Here, and there. */
  readonly mailbox?: string
  readonly from?: string
  /** Here, and there. */
  readonly uid?: number
  readonly uidThere?: number
}

export type SideCounts = { readonly mailboxes: number; readonly messages: number }

export type Compared = {
  readonly here: SideCounts
  readonly there: SideCounts
  /** Those that are there. */
  readonly differing: { readonly [kind in DifferenceKind]?: number }
  /** The first of them. */
  readonly differences: readonly RollbackDifference[]
}

/** What was done there, by this command. */
export type CarriedCounts = {
  /** Messages that were put here since. */
  readonly appended: number
  readonly copied: number
  readonly moved: number
  /** Messages whose flags were changed there. */
  readonly flags: number
  readonly expunged: number
  readonly mailboxesMade: number
  readonly mailboxesRenamed: number
  readonly mailboxesRemoved: number
  /** Messages that had arrived there: they are there and here. */
  readonly arrived: number
  /** Sessions with the old server that it took. */
  readonly passes: number
}

export type RollbackAnswer =
  | {
      readonly ok: true
      readonly userId: string
      /** Of the migration now. */
      readonly state: string
      readonly before?: Compared
      /** Absent for a dry run. */
      readonly after?: Compared
      readonly carried?: CarriedCounts
      /** Kinds that are left as they are: told, and no obstacle. */
      readonly left?: readonly DifferenceKind[]
    }
  | { readonly ok: false; readonly kind: string; readonly text: string }
