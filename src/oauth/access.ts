/** A working access token for one account, whenever a session needs one: fetched once for all who ask, and renewed before it ends. */
import type { Clock } from '../base/clock.ts'
import { OAuthError, type TokenEndpoint, type Tokens } from './token-endpoint.ts'

/** How tokens of an account are had. */
export type Grant =
  /** The user consented: where the refresh token is kept. It is read whenever it is needed: somebody else may have a newer one. */
  | {
      readonly type: 'user'
      /** Undefined: nobody consented, or the provider refused what is kept. */
      find(): Promise<string | undefined>
      /** Makes a changed refresh token durable: the old one may be good for nothing from then on. */
      keep(refreshToken: string): Promise<void>
      /** The provider refuses this one for good: nothing asks it again until somebody consents. */
      ended(refreshToken: string): Promise<void>
    }
  /** A service acts for its users. */
  | { readonly type: 'service' }

/** Renewed when a tenth of its life is left, but not in its last minute: a session that begins now must be able to log in. */
const shortestLeftMs = 60_000

export class Access {
  readonly #endpoint: TokenEndpoint
  readonly #clock: Clock
  readonly #grant: Grant
  #token: { readonly text: string; readonly renewMs: number; readonly endMs: number } | undefined
  #asking: Promise<string> | undefined

  constructor(endpoint: TokenEndpoint, grant: Grant, clock: Clock) {
    this.#endpoint = endpoint
    this.#grant = grant
    this.#clock = clock
  }

  /** The token that was fetched last, working or not. */
  get held(): string | undefined {
    return this.#token?.text
  }

  /** Throws OAuthError. While a token still works, a provider that can't be asked is no obstacle. */
  async token(): Promise<string> {
    const now = this.#clock.monotonic()
    if (this.#token !== undefined && now < this.#token.renewMs) return this.#token.text
    this.#asking ??= this.#renew().finally(() => {
      this.#asking = undefined
    })
    try {
      return await this.#asking
    } catch (error) {
      const old = this.#token
      if (old !== undefined && error instanceof OAuthError && error.kind === 'temporary' && now < old.endMs)
        return old.text
      throw error
    }
  }

  /** The backend refused this token although its time was not over: the next session gets another. */
  refused(token: string): void {
    if (this.#token?.text === token) this.#token = undefined
  }

  async #renew(): Promise<string> {
    if (this.#grant.type === 'service') return this.#remember(await this.#endpoint.clientCredentials())
    const refreshToken = await this.#grant.find()
    if (refreshToken === undefined)
      throw new OAuthError(
        'needs-consent',
        'nobody has consented to the access to this mailbox, or the consent has ended',
      )
    try {
      const tokens = await this.#endpoint.refresh(refreshToken)
      if (tokens.refreshToken !== undefined && tokens.refreshToken !== refreshToken)
        await this.#grant.keep(tokens.refreshToken)
      return this.#remember(tokens)
    } catch (error) {
      if (error instanceof OAuthError && error.kind === 'needs-consent') {
        this.#token = undefined
        await this.#grant.ended(refreshToken)
      }
      throw error
    }
  }

  #remember({ accessToken, expiresIn }: Tokens): string {
    const now = this.#clock.monotonic()
    const lifeMs = expiresIn * 1000
    const leftMs = Math.min(lifeMs / 2, Math.max(shortestLeftMs, lifeMs / 10))
    this.#token = { text: accessToken, renewMs: now + lifeMs - leftMs, endMs: now + lifeMs }
    return accessToken
  }
}
