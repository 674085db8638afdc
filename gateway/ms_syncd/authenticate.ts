/** Answers imapd's and pop3d's question whether a login is good. They log the answer; the request carries a password: nothing here does. */
import { AuthError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Json } from '#src/events/types.ts'
import type { Gateway } from './gateway.ts'

/** The service that `src/auth` asks; request and answer are described there. */
export const serviceName = 'ms_sync'

/** Answers an AuthenticateAnswer (src/auth/authenticator.ts). A refusal is an answer; what else goes wrong is thrown. */
export const authenticate = async (gateway: Gateway, request: Json): Promise<Json> => {
  if (typeof request !== 'object' || request === null || Array.isArray(request) || !('type' in request))
    return refusal(new AuthError('unavailable', 'the request is not understood'))
  const { type, user, userId, password } = request
  if (type !== 'authenticate' || typeof user !== 'string' || typeof userId !== 'string' || typeof password !== 'string')
    return refusal(new AuthError('unavailable', 'the request is not understood'))
  const octets = Buffer.from(password, 'base64')
  try {
    await gateway.login(user, userId as UserId, octets)
    return { ok: true, userId }
  } catch (error) {
    if (!(error instanceof AuthError)) throw error
    return refusal(error)
  } finally {
    octets.fill(0)
  }
}

const refusal = ({ kind, message }: AuthError): Json => ({ ok: false, kind, text: message })
