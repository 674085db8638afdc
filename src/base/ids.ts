/** Numbers that the mail standards keep apart, kept apart by the type checker as well. */

/** Unique identifier of a message in a mailbox: 1 to 2^32-1, ascending with arrival. RFC 9051 §2.3.1.1 */
export type Uid = number & { readonly __kind: 'Uid' }
/** Message sequence number in one session's view: 1 to EXISTS. RFC 9051 §2.3.1.2 */
export type SeqNum = number & { readonly __kind: 'SeqNum' }
/** Mod-sequence. The wire allows 63 bits (RFC 7162 §3.1); mdir counts change sets and stays below 2^53. */
export type ModSeq = number & { readonly __kind: 'ModSeq' }
/** Canonical user id, `local@domain`, as the store and the directory know it. */
export type UserId = string & { readonly __kind: 'UserId' }
/** Random identity of a mailbox, made with it and kept over RENAME. RFC 8474 §4 */
export type MailboxId = string & { readonly __kind: 'MailboxId' }
