/** A server's replies: RFC 1939 §3, response codes of RFC 2449 §8 and RFC 3206. */

/** Longest first line, CRLF counted. RFC 2449 §4 */
const MAX_RESPONSE_OCTETS = 512

/** `[AUTH]` and so on; the client may act on it. */
export type ResponseCode = 'AUTH' | 'SYS/TEMP' | 'SYS/PERM' | 'IN-USE' | 'LOGIN-DELAY'

/** `+OK text`, also as the first line of a multi-line response. */
export const ok = (text: string): string => line(`+OK ${text}`)

/** `-ERR [code] text` */
export const err = (text: string, code?: ResponseCode): string =>
  line(code === undefined ? `-ERR ${text}` : `-ERR [${code}] ${text}`)

/** `+ base64`: a challenge of AUTH. RFC 5034 §4 */
export const challenge = (octets: Buffer): string => `+ ${octets.toString('base64')}\r\n`

/** End of a multi-line response. */
export const terminator = '.\r\n'

/** One line whatever is in the text: it may quote somebody else's words. */
const line = (text: string): string => `${text.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_RESPONSE_OCTETS - 2)}\r\n`
