/**
 * What one pass over a message's octets finds. Text taken from a message is kept as octets in a latin1 string
 * (one char, one octet): nothing is decoded before somebody needs characters.
 */

/** One address of an ENVELOPE. A group is opened by {mailbox: its name, host: undefined} and closed by all four undefined. RFC 9051 §7.5.2 */
export interface Address {
  readonly name: string | undefined
  /** At-domain-list (source route), obsolete. */
  readonly route: string | undefined
  readonly mailbox: string | undefined
  readonly host: string | undefined
}

/** The ENVELOPE of RFC 9051 §7.5.2: undefined where the field is absent (NIL on the wire). */
export interface Envelope {
  readonly date: string | undefined
  readonly subject: string | undefined
  readonly from: readonly Address[] | undefined
  /** As RFC 9051 asks, equal to `from` where the field is absent or empty; likewise replyTo. */
  readonly sender: readonly Address[] | undefined
  readonly replyTo: readonly Address[] | undefined
  readonly to: readonly Address[] | undefined
  readonly cc: readonly Address[] | undefined
  readonly bcc: readonly Address[] | undefined
  readonly inReplyTo: string | undefined
  readonly messageId: string | undefined
}

/**
 * A parameter, attribute name as written, value unquoted. Pieces of a long value are joined (RFC 2231 §3); an encoded value stays
 * encoded and its attribute ends in '*' (§4).
 */
export type Parameter = readonly [attribute: string, value: string]

/**
 * A body part: the message itself (root), a part of a multipart, or the message inside a message/rfc822 part.
 * Offsets count octets from the start of the message file.
 */
export interface Part {
  /** First octet of the part's own header (MIME header of a sub-part, message header of a message). */
  readonly start: number
  /** First octet behind the empty line that ends that header. */
  readonly bodyStart: number
  /** One past the last octet of the body; the CRLF before a boundary belongs to the boundary. RFC 2046 §5.1.1 */
  readonly end: number
  /** Number of lines in the body. */
  readonly lines: number
  /** As written; 'text'/'plain' and friends where absent or broken. Compare case-insensitively. */
  readonly type: string
  readonly subtype: string
  readonly parameters: readonly Parameter[]
  readonly id: string | undefined
  readonly description: string | undefined
  /** Content-Transfer-Encoding, '7bit' where absent. */
  readonly encoding: string
  readonly md5: string | undefined
  readonly disposition: { readonly type: string; readonly parameters: readonly Parameter[] } | undefined
  readonly language: readonly string[] | undefined
  readonly location: string | undefined
  /** The parts of a multipart; the one embedded message of a message/rfc822 or message/global part; else empty. */
  readonly children: readonly Part[]
  /** Of the root and of an embedded message. */
  readonly envelope: Envelope | undefined
}

/** What the derived cache holds of a message, so that ENVELOPE, BODYSTRUCTURE, SEARCH and SORT need not open it. */
export interface MessageSummary {
  readonly root: Part
  /** Raw fields (name, colon, value, folding, final CRLF) of the names in `SUMMARY_FIELDS`, in message order. */
  readonly fields: readonly (readonly [lowerCaseName: string, field: string])[]
  /** Once somebody asked for it: see `previewOf`. Empty where there is nothing to tell. */
  readonly preview?: string
}
