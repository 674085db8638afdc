/** Names inside SASL messages whose parts are set off by commas. */
import { SyntaxFault } from '../../base/errors.ts'

/** saslname, RFC 5801 §4. Throws SyntaxFault. */
export function readSaslName(text: string): string {
  if (/=(?!2C|3D)|\0/.test(text)) throw new SyntaxFault('SASL: expected saslname', 'saslname')
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=')
}
