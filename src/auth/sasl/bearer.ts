/** OAUTHBEARER (RFC 7628) and XOAUTH2, the form of it that Google and Microsoft made before: the client shows an access token. */
import { AuthError, SyntaxFault } from '../../base/errors.ts'
import { type Exchange, type Mechanism, nothing, type Proof } from './mechanism.ts'
import { readSaslName } from './sasl-name.ts'

export const oauthBearer: Mechanism = {
  name: 'OAUTHBEARER',
  uses: 'token',
  run: async (exchange) => {
    const message = await firstMessage(exchange)
    // RFC 5801 §4: no channel binding, and perhaps whom the client acts as.
    const [, authzid, pairs] = /^[ny],(?:a=([^,]+))?,(\x01.*)$/s.exec(message) ?? []
    if (pairs === undefined) throw new SyntaxFault('OAUTHBEARER: expected client-resp', 'client-resp')
    return prove(exchange, authzid === undefined ? undefined : readSaslName(authzid), tokenIn(pairs))
  },
}

export const xoauth2: Mechanism = {
  name: 'XOAUTH2',
  uses: 'token',
  run: async (exchange) => {
    const message = await firstMessage(exchange)
    const [, user, pairs] = /^user=([^\x01]*)(\x01.*)$/s.exec(message) ?? []
    if (pairs === undefined) throw new SyntaxFault('XOAUTH2: expected user and auth', 'message')
    return prove(exchange, user === '' ? undefined : user, tokenIn(pairs))
  },
}

const firstMessage = async ({ initial, ask }: Exchange) => (initial ?? (await ask(nothing))).toString('utf8')

/** `kvsep *kvpair kvsep`, RFC 7628 §3.1; host and port say what we know already. RFC 6750 §2.1: the alphabet of a token. */
const tokenIn = (pairs: string): string => {
  const token = /\x01auth=Bearer +([A-Za-z0-9._~+/-]+=*)\x01/i.exec(pairs)?.[1]
  if (token === undefined || !pairs.endsWith('\x01\x01'))
    throw new SyntaxFault('expected auth=Bearer and a token between octets 1', 'kvpair')
  return token
}

/** RFC 7628 §3.2.2, §3.2.3: who is refused is told so, has to answer, and the exchange fails then. */
const prove = async ({ ask, tokenUser }: Exchange, authzid: string | undefined, token: string): Promise<Proof> => {
  try {
    return { user: await tokenUser(token), authzid }
  } catch (error) {
    if (error instanceof AuthError && error.kind === 'bad-credentials')
      await ask(Buffer.from(JSON.stringify({ status: 'invalid_token' })))
    throw error
  }
}
