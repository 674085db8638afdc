/** What the threading algorithms go by. */
export interface ThreadedMessages {
  /** Messages are 0 to `count - 1`, in the mailbox's order. */
  readonly count: number
  /** '' for a message without a valid Message-ID. */
  readonly ids: readonly string[]
  /** Separated by NUL; '' for none. */
  readonly references: readonly string[]
  /** Base subjects, prepared for comparison. */
  readonly subjects: readonly string[]
  readonly isReply: Uint8Array
}

export const none = -1
