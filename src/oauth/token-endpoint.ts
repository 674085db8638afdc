/** What is asked of an OAuth token endpoint, and what its answers mean. RFC 6749, RFC 7636, RFC 8628. No answer and no secret is ever logged. */
import { createHash, randomBytes } from 'node:crypto'
import { boundedText } from '../base/bounded-text.ts'
import type { Client, Provider } from './provider.ts'

export type OAuthErrorKind =
  /** The grant is revoked, expired, or was never given: a person has to consent (again). */
  | 'needs-consent'
  /** The user has not decided yet. RFC 8628 §3.5 */
  | 'pending'
  /** The same, and the provider is asked too often. RFC 8628 §3.5 */
  | 'slow-down'
  /** Client id, secret, scope or endpoint are wrong: an operator has to act. */
  | 'configuration'
  /** The provider can't be reached, or says that it can't just now. */
  | 'temporary'

export class OAuthError extends Error {
  override readonly name = 'OAuthError'
  readonly kind: OAuthErrorKind

  constructor(kind: OAuthErrorKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}

export interface Tokens {
  readonly accessToken: string
  /** Seconds that the access token will work. */
  readonly expiresIn: number
  /** A new one, where the provider changes it; then the old one may have ended. */
  readonly refreshToken: string | undefined
}

/** What the user is to do on another device. RFC 8628 §3.2 */
export interface DeviceConsent {
  readonly deviceCode: string
  readonly userCode: string
  readonly verificationUri: string
  readonly expiresIn: number
  /** Seconds between two questions. */
  readonly interval: number
}

const timeoutMs = 20_000
const maxAnswerOctets = 65_536
/** Where a provider doesn't tell. RFC 6749 §5.1 leaves it open. */
const usualLifetime = 3600

const kinds: Readonly<Record<string, OAuthErrorKind>> = {
  invalid_grant: 'needs-consent',
  interaction_required: 'needs-consent',
  consent_required: 'needs-consent',
  access_denied: 'needs-consent',
  expired_token: 'needs-consent',
  authorization_pending: 'pending',
  slow_down: 'slow-down',
  invalid_client: 'configuration',
  invalid_request: 'configuration',
  invalid_scope: 'configuration',
  unauthorized_client: 'configuration',
  unsupported_grant_type: 'configuration',
  temporarily_unavailable: 'temporary',
  server_error: 'temporary',
}

export class TokenEndpoint {
  readonly #provider: Provider
  readonly #client: Client

  constructor(provider: Provider, client: Client) {
    this.#provider = provider
    this.#client = client
  }

  /** The page that the user's browser is sent to, and what has to be kept until it comes back. RFC 6749 §4.1.1, RFC 7636 */
  consentUrl(redirectUri: string): { readonly url: string; readonly state: string; readonly verifier: string } {
    const { authorizationEndpoint, scope, authorizationParameters } = this.#provider
    if (authorizationEndpoint === undefined)
      throw new OAuthError(
        'configuration',
        'the provider has no authorization endpoint; give consent on another device',
      )
    const state = randomBytes(24).toString('base64url')
    const verifier = randomBytes(48).toString('base64url')
    const url = new URL(authorizationEndpoint)
    const parameters = {
      ...authorizationParameters,
      response_type: 'code',
      client_id: this.#client.id,
      redirect_uri: redirectUri,
      ...scopeOf(scope),
      state,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    }
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
    return { url: url.href, state, verifier }
  }

  /** RFC 6749 §4.1.3 */
  async exchangeCode(code: string, redirectUri: string, verifier: string): Promise<Tokens> {
    return this.#ask({ grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier })
  }

  /** RFC 6749 §6 */
  async refresh(refreshToken: string): Promise<Tokens> {
    return this.#ask({ grant_type: 'refresh_token', refresh_token: refreshToken })
  }

  /** RFC 6749 §4.4 */
  async clientCredentials(): Promise<Tokens> {
    return this.#ask({ grant_type: 'client_credentials', ...scopeOf(this.#provider.serviceScope) })
  }

  /** RFC 8628 §3.1 */
  async beginDevice(): Promise<DeviceConsent> {
    const { deviceEndpoint, scope } = this.#provider
    if (deviceEndpoint === undefined)
      throw new OAuthError('configuration', 'the provider has no device endpoint; give consent in a browser')
    const answer = await post(deviceEndpoint, { client_id: this.#client.id, ...scopeOf(scope) })
    const uri = answer.verification_uri ?? answer.verification_url
    const { device_code: deviceCode, user_code: userCode } = answer
    if (typeof deviceCode !== 'string' || typeof userCode !== 'string' || typeof uri !== 'string')
      throw new OAuthError('temporary', 'the provider answered without a code for the user')
    return {
      deviceCode,
      userCode,
      verificationUri: uri,
      expiresIn: numberOf(answer.expires_in) ?? 900,
      interval: numberOf(answer.interval) ?? 5,
    }
  }

  /** Throws OAuthError pending or slow-down until the user has decided. RFC 8628 §3.4 */
  async pollDevice(deviceCode: string): Promise<Tokens> {
    return this.#ask({ grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: deviceCode })
  }

  async #ask(parameters: Readonly<Record<string, string>>): Promise<Tokens> {
    const { id, secret } = this.#client
    const answer = await post(this.#provider.tokenEndpoint, {
      ...parameters,
      client_id: id,
      ...(secret === undefined ? {} : { client_secret: secret }),
    })
    const { access_token: accessToken, refresh_token: refreshToken } = answer
    // It goes into a SASL message whose parts are set off by control characters.
    if (typeof accessToken !== 'string' || !/^[\x21-\x7e]+$/.test(accessToken))
      throw new OAuthError('temporary', 'the provider answered without a usable access token')
    return {
      accessToken,
      expiresIn: numberOf(answer.expires_in) ?? usualLifetime,
      refreshToken: typeof refreshToken === 'string' && refreshToken !== '' ? refreshToken : undefined,
    }
  }
}

/** RFC 6749 §3.3: left out where the provider has a usual one. */
const scopeOf = (scope: string): { readonly scope?: string } => (scope === '' ? {} : { scope })

type Answer = Readonly<Record<string, unknown>>

/** Some providers send numbers as text. */
const numberOf = (value: unknown): number | undefined => {
  const number = typeof value === 'string' ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) && number > 0 ? number : undefined
}

const post = async (endpoint: string, parameters: Readonly<Record<string, string>>): Promise<Answer> => {
  const host = hostOf(endpoint)
  let response: Response
  let text: string
  try {
    response = await fetch(endpoint, {
      method: 'POST',
      headers: { accept: 'application/json' },
      body: new URLSearchParams(parameters),
      // Credentials go to the host that was configured, and to no other.
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    })
    text = await boundedText(response, maxAnswerOctets)
  } catch (error) {
    if (error instanceof RangeError)
      throw new OAuthError('temporary', 'the provider sent an answer that is too large', { cause: error })
    throw new OAuthError('temporary', `${host} can not be asked for a token`, { cause: error })
  }
  const answer = parsed(text)
  if (response.ok && answer !== undefined) return answer
  const code = typeof answer?.error === 'string' ? answer.error : undefined
  const kind =
    (code === undefined ? undefined : kinds[code]) ??
    (response.status >= 500 || response.status === 429 ? 'temporary' : undefined)
  // RFC 6749 §5.2: what else is sent there is not for a log.
  const why = code !== undefined && /^[\x20-\x7e]{1,100}$/.test(code) ? code : `status ${response.status}`
  throw new OAuthError(kind ?? (response.ok ? 'temporary' : 'configuration'), `${host} gave no token: ${why}`)
}

/** Tokens travel under TLS only; a provider on the same machine is for tests. */
const hostOf = (endpoint: string): string => {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  const local = url?.hostname === 'localhost' || url?.hostname === '127.0.0.1'
  if (url === undefined || (url.protocol !== 'https:' && !(url.protocol === 'http:' && local)))
    throw new OAuthError(
      'configuration',
      `${JSON.stringify(endpoint.slice(0, 200))} is no https URL of an OAuth endpoint`,
    )
  return url.host
}

const parsed = (text: string): Answer | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Answer) : undefined
  } catch {
    return undefined
  }
}
