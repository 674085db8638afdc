/**
 * Message Passing Protocol, the framing of the administration guide's Appendix F:
 *
 *     msg      = header payload trailer
 *     header   = msg_type SP msgno SP size CR LF
 *     trailer  = "END" CR LF
 *
 * The payload is opaque here; what we put into it is in docs/mpp.md. `size` counts the payload alone.
 */

/** One message; the same form in both directions. */
export interface MppMessage {
  /** `<service>:<payload type>`, visible ASCII. */
  readonly type: string
  /** 0 to 2147483647. No two outstanding requests of a session share one. */
  readonly msgno: number
  readonly payload: Buffer
}

/** Largest msgno and size. App. F */
export const MAX_INTEGER = 2147483647
/** Longest msg_type that we send or accept, in octets. App. F sets none. */
export const MAX_TYPE_OCTETS = 128

const MSG_TYPE = /^[\x21-\x7e]+$/
const trailer = Buffer.from('END\r\n', 'latin1')

/** Octets of one message. Throws RangeError for values that the grammar can't carry: a defect of the caller. */
export function encodeMpp(type: string, msgno: number, payload: Uint8Array): Buffer {
  if (!MSG_TYPE.test(type) || type.length > MAX_TYPE_OCTETS) throw new RangeError('msg_type is not visible ASCII')
  if (!Number.isInteger(msgno) || msgno < 0 || msgno > MAX_INTEGER) throw new RangeError(`msgno ${msgno}`)
  if (payload.length > MAX_INTEGER) throw new RangeError(`payload of ${payload.length} octets`)
  return Buffer.concat([Buffer.from(`${type} ${msgno} ${payload.length}\r\n`, 'latin1'), payload, trailer])
}
