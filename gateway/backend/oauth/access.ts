/** A working access token for one account, whenever a session needs one: fetched once for all who ask, and renewed before it ends. */
import type { Clock } from '#src/base/clock.ts'
import { OAuthError, type TokenEndpoint, type Tokens } from './token-endpoint.ts'

/** How tokens of an account are had. */
export type Grant =
  /** The user consented: the refresh token is kept by the caller. */
  | { readonly type: 'user'; readonly refreshToken: string }
  /** A service acts for its users. */
  | { readonly type: 'service' }

export interface AccessState {
  /** `needs-consent`: no session can be opened before somebody consents again; nothing asks the provider until then. */
  readonly state: 'ready' | 'needs-consent'
}

/** Renewed when a tenth of its life is left, but not in its last minute: a session that begins now must be able to log in. */
const shortestLeftMs = 60_000

export class Access {
  readonly #endpoint: TokenEndpoint
  readonly #clock: Clock
  readonly #keep: (refreshToken: string) => Promise<void>
  #grant: Grant | undefined
  #token: { readonly text: string; readonly renewMs: number; readonly endMs: number } | undefined
  #asking: Promise<string> | undefined

  /** `keep` makes a changed refresh token durable: the old one may be good for nothing from then on. */
  constructor(
    endpoint: TokenEndpoint,
    grant: Grant | undefined,
    clock: Clock,
    keep: (refreshToken: string) => Promise<void>,
  ) {
    this.#endpoint = endpoint
    this.#grant = grant
    this.#clock = clock
    this.#keep = keep
  }

  get state(): AccessState['state'] {
    return this.#grant === undefined ? 'needs-consent' : 'ready'
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

  /** Somebody consented. */
  async consented(tokens: Tokens): Promise<void> {
    if (tokens.refreshToken === undefined)
      throw new OAuthError('needs-consent', 'the provider gave no refresh token; consent again, with offline access')
    await this.#keep(tokens.refreshToken)
    this.#grant = { type: 'user', refreshToken: tokens.refreshToken }
    this.#remember(tokens)
  }

  async #renew(): Promise<string> {
    const grant = this.#grant
    if (grant === undefined) throw new OAuthError('needs-consent', 'nobody has consented to the access to this mailbox')
    try {
      const tokens =
        grant.type === 'service'
          ? await this.#endpoint.clientCredentials()
          : await this.#endpoint.refresh(grant.refreshToken)
      if (grant.type === 'user' && tokens.refreshToken !== undefined && tokens.refreshToken !== grant.refreshToken) {
        await this.#keep(tokens.refreshToken)
        this.#grant = { type: 'user', refreshToken: tokens.refreshToken }
      }
      return this.#remember(tokens)
    } catch (error) {
      // Asking again would be refused again. The refresh token stays where it is kept until there is a new one.
      if (error instanceof OAuthError && error.kind === 'needs-consent' && this.#grant === grant)
        this.#grant = undefined
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
