/**
 * EXTERNAL (RFC 4422 appendix A): TLS proved who the client is, by a certificate that an authority of tls_ca_file or tls_ca_path signed. AUTH-12: one that
 * could not be verified has no names here.
 */
import { SyntaxFault } from '../../base/errors.ts'
import { type Mechanism, nothing } from './mechanism.ts'

export const external: Mechanism = {
  name: 'EXTERNAL',
  uses: 'certificate',
  run: async ({ ask, initial, channel }) => {
    const authzid = (initial ?? (await ask(nothing))).toString('utf8')
    if (authzid.includes('\0')) throw new SyntaxFault('EXTERNAL: expected an authorisation identity', 'message')
    const names = channel?.clientNames ?? []
    // A certificate may have several addresses; the client says which of them it is.
    const user = names.find((name) => name.toLowerCase() === authzid.toLowerCase()) ?? names[0]
    if (user === undefined) throw new Error('EXTERNAL was offered without a verified certificate')
    return { user, authzid: authzid === '' ? undefined : authzid }
  },
}
