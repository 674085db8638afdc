/** Access tokens of all backends of a process, by account at a provider. */
import type { Clock } from '#src/base/clock.ts'
import { StoreError } from '#src/base/errors.ts'
import type { Backend } from '#src/config/backends.ts'
import type { OAuthProviderRecord } from '#src/config/oauth-provider.ts'
import { Access, type Grant } from '#src/oauth/access.ts'
import type { Consents } from '#src/oauth/consents.ts'
import { clientOf, providerOf } from '#src/oauth/provider.ts'
import { OAuthError, type OAuthErrorKind, TokenEndpoint } from '#src/oauth/token-endpoint.ts'
import type { TokenSource } from './credentials.ts'
import { BackendError, type BackendErrorKind } from './errors.ts'

const kinds: Readonly<Record<OAuthErrorKind, BackendErrorKind>> = {
  'needs-consent': 'needs-consent',
  pending: 'temporary',
  'slow-down': 'temporary',
  configuration: 'permanent',
  temporary: 'temporary',
}

export class BackendTokens implements TokenSource {
  readonly #consents: Consents
  readonly #clock: Clock
  readonly #accesses = new Map<string, Access>()

  constructor(consents: Consents, clock: Clock) {
    this.#consents = consents
    this.#clock = clock
  }

  async token({ user, service }: Backend): Promise<{ readonly token: string; refused(): boolean }> {
    if (service?.type !== 'token') throw new Error('a backend without a provider of tokens')
    const access = this.#access(service.provider, user)
    const held = access.held
    try {
      const token = await access.token()
      return {
        token,
        refused: () => {
          access.refused(token)
          // One that was fetched for this session is as good as any that could be fetched.
          return token === held
        },
      }
    } catch (error) {
      if (error instanceof OAuthError) throw new BackendError(kinds[error.kind], error.message, { cause: error })
      if (error instanceof StoreError) throw new BackendError('temporary', error.message, { cause: error })
      throw error
    }
  }

  #access(record: OAuthProviderRecord, user: string): Access {
    // A service has one right for everybody.
    const key = JSON.stringify([record.name, record.grant === 'service' ? '' : user])
    let access = this.#accesses.get(key)
    if (access === undefined) {
      const endpoint = new TokenEndpoint(providerOf(record), clientOf(record))
      access = new Access(endpoint, this.#grant(record, user), this.#clock)
      this.#accesses.set(key, access)
    }
    return access
  }

  #grant({ name, grant }: OAuthProviderRecord, user: string): Grant {
    if (grant === 'service') return { type: 'service' }
    const consents = this.#consents
    const owner = { provider: name, user }
    return {
      type: 'user',
      find: async () => {
        const consent = await consents.find(owner)
        return consent?.state === 'ready' ? consent.refreshToken : undefined
      },
      keep: (refreshToken) => consents.keep(owner, refreshToken),
      ended: (refreshToken) => consents.ended(owner, refreshToken),
    }
  }
}
