/** What one client may make us hold or work through. */

export interface ReceiverLimits {
  /** Text of one command (or of one raw line), literals not counted, CRLF counted. */
  readonly lineOctets: number
  /** One literal that is collected, that is any but APPEND's message. */
  readonly literalOctets: number
  /** All collected literals of one command. */
  readonly literalsOctets: number
  /** Number of literals of one command. */
  readonly literals: number
  /** APPEND's message literal; above it the answer is NO [TOOBIG]. */
  readonly appendOctets: number
  /** How much of a refused command is read and thrown away before the connection is to be closed instead. */
  readonly drainOctets: number
}

/** Before authentication. APPEND has no limit here because the session refuses it by its state, whatever its size. */
export const preAuthLimits: ReceiverLimits = {
  lineOctets: 8 * 1024,
  literalOctets: 4 * 1024,
  literalsOctets: 4 * 1024,
  literals: 10,
  appendOctets: Number.MAX_SAFE_INTEGER,
  drainOctets: 64 * 1024,
}

/**
 * After authentication. The drain is generous because a client whose too big message (LITERAL+) is answered by a closed
 * connection comes back with the same message. RFC 7888 §4
 */
export const authenticatedLimits = (appendOctets: number): ReceiverLimits => ({
  lineOctets: 64 * 1024,
  literalOctets: 100 * 1024,
  literalsOctets: 1024 * 1024,
  literals: 1000,
  appendOctets,
  drainOctets: 128 * 1024 * 1024,
})

/** Parentheses inside one another in any argument. */
export const parenthesisDepth = 64
/** NOT, OR and parentheses inside one another in SEARCH; clients write long alternatives as OR a OR b OR c …. */
export const searchDepth = 500
