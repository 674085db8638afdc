/** The mechanisms that show the password: PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login). */
import { SyntaxFault } from '../../base/errors.ts'
import { type Mechanism, nothing, type Proof } from './mechanism.ts'

export const plain: Mechanism = {
  name: 'PLAIN',
  uses: 'password',
  run: async ({ ask, initial }) => readPlain(initial ?? (await ask(nothing))),
}

export const login: Mechanism = {
  name: 'LOGIN',
  uses: 'password',
  run: async ({ ask, initial }) => {
    const user = (initial ?? (await ask(Buffer.from('User Name\0')))).toString('utf8')
    return { user, password: await ask(Buffer.from('Password\0')), authzid: undefined }
  },
}

/** [authzid] NUL authcid NUL passwd. RFC 4616 §2 */
function readPlain(response: Buffer): Proof {
  const first = response.indexOf(0)
  const second = response.indexOf(0, first + 1)
  if (first < 0 || second < 0 || response.indexOf(0, second + 1) >= 0)
    throw new SyntaxFault('PLAIN: expected authzid, NUL, authcid, NUL, password', 'message')
  const authzid = response.toString('utf8', 0, first)
  return {
    user: response.toString('utf8', first + 1, second),
    password: response.subarray(second + 1),
    authzid: authzid === '' ? undefined : authzid,
  }
}
