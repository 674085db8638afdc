/**
 * Whose an OAuth access token is: asked of the provider's introspection endpoint (RFC 7662), or read from the token where that is a JWT
 * (RFC 9068), signed with a key of the provider's set (RFC 7517). No token ever reaches a log.
 */
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose'
import { boundedText } from '../base/bounded-text.ts'
import { AuthError } from '../base/errors.ts'
import type { Config } from '../config/config.ts'
import { badCredentials } from './refusals.ts'

/** The user id as the provider has it. Throws AuthError bad-credentials, unavailable. */
export type TokenUser = (token: string) => Promise<string>

const timeoutMs = 10_000
const maxAnswerOctets = 65_536
/** Between the clocks of two machines. */
const clockToleranceSeconds = 60
/** Whoever has the key to check these can't make them. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

/** Whether tokens can be checked, so that mechanisms that carry them may be offered. */
export const takesTokens = (config: Config): boolean =>
  config.isSet('login_oauth_introspection') || config.isSet('login_oauth_jwks')

/** By the options of now; does no I/O yet. Refuses every token when there is nobody to ask. */
export const openTokenUsers = (config: Config): TokenUser => {
  const claimsOf = claimsReader(config)
  const name = config.get('login_oauth_claim')
  const scope = config.get('login_oauth_scope')
  return async (token) => {
    const claims = await claimsOf(token)
    const { [name]: user, scope: scopes, email_verified: verified } = claims
    if (typeof user !== 'string' || user === '') throw refused(`no claim ${name}`)
    // A provider whose users choose their address says whether it looked.
    if (name === 'email' && verified === false) throw refused('the address in it is not verified')
    if (scope !== undefined && !(typeof scopes === 'string' && scopes.split(' ').includes(scope)))
      throw refused(`not for the scope ${scope}`)
    return user
  }
}

const claimsReader = (config: Config): ((token: string) => Promise<JWTPayload>) => {
  const jwks = config.get('login_oauth_jwks')
  const endpoint = config.get('login_oauth_introspection')
  const audience = config.get('login_oauth_audience')
  const issuer = config.get('login_oauth_issuer')
  if (jwks !== undefined && audience !== undefined && issuer !== undefined) {
    const keys = createRemoteJWKSet(new URL(jwks), { timeoutDuration: timeoutMs })
    const expected = { audience, issuer, algorithms, clockTolerance: clockToleranceSeconds, requiredClaims: ['exp'] }
    return async (token) => {
      try {
        return (await jwtVerify(token, keys, expected)).payload
      } catch (error) {
        throw badTokens.some((kind) => error instanceof kind) ? refused((error as Error).message) : away(error)
      }
    }
  }
  if (endpoint === undefined) throw new TypeError('there is no option that says how tokens are checked')
  const client = `${formEncoded(config.get('login_oauth_client_id') ?? '')}:${formEncoded(config.get('login_oauth_client_secret') ?? '')}`
  return async (token) => {
    const claims = await introspect(endpoint, client, token)
    if (claims.active !== true) throw refused('not active')
    if (issuer !== undefined && claims.iss !== issuer) throw refused('of another issuer')
    if (audience !== undefined && ![claims.aud].flat().includes(audience)) throw refused('for another audience')
    return claims
  }
}

/** What the token is to blame for. All else is the provider, or the way there. */
const badTokens = [
  errors.JWTExpired,
  errors.JWTClaimValidationFailed,
  errors.JWTInvalid,
  errors.JWSInvalid,
  errors.JWSSignatureVerificationFailed,
  errors.JWKSNoMatchingKey,
  errors.JWKSMultipleMatchingKeys,
  errors.JOSEAlgNotAllowed,
  errors.JOSENotSupported,
]

/** RFC 7662 §2.1, with client credentials as in RFC 6749 §2.3.1. */
const introspect = async (endpoint: string, client: string, token: string): Promise<JWTPayload> => {
  let answer: unknown
  try {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: { accept: 'application/json', authorization: `Basic ${Buffer.from(client).toString('base64')}` },
      body: new URLSearchParams({ token, token_type_hint: 'access_token' }),
      // Tokens go to the host that was configured, and to no other.
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    })
    const text = await boundedText(response, maxAnswerOctets)
    if (!response.ok) throw new Error(`status ${response.status}`)
    answer = JSON.parse(text)
  } catch (error) {
    throw away(error instanceof SyntaxError ? new Error('the answer is not JSON') : error)
  }
  if (typeof answer !== 'object' || answer === null) throw away(new Error('the answer is no object'))
  return answer as JWTPayload
}

const formEncoded = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1)

/** The reason is for the log. */
const refused = (reason: string) => badCredentials(new Error(`token: ${reason}`))

const away = (error: unknown) =>
  new AuthError('unavailable', 'tokens can not be checked now', {
    cause: new Error(`the OAuth provider can not be asked: ${(error as Error).message}`, { cause: error }),
  })
