/** Where an OAuth 2.0 provider answers, and what has to be asked for to read mail. */
import type { OAuthProviderRecord } from '../config/oauth-provider.ts'

export interface Provider {
  /** RFC 6749 §3.2 */
  readonly tokenEndpoint: string
  /** RFC 6749 §3.1; undefined: no authorization-code grant. */
  readonly authorizationEndpoint: string | undefined
  /** RFC 8628 §3.1; undefined: no device grant. */
  readonly deviceEndpoint: string | undefined
  /** For a user's own consent, blanks between. */
  readonly scope: string
  /** For a service that acts for all users (client credentials). */
  readonly serviceScope: string
  /** Sent with the authorization request, so that a refresh token is given. */
  readonly authorizationParameters: Readonly<Record<string, string>>
}

export interface Client {
  readonly id: string
  /** Undefined for a public client. RFC 6749 §2.1 */
  readonly secret: string | undefined
}

export const google: Provider = {
  tokenEndpoint: 'https://oauth2.googleapis.com/token',
  authorizationEndpoint: 'https://accounts.google.com/o/oauth2/v2/auth',
  deviceEndpoint: 'https://oauth2.googleapis.com/device/code',
  scope: 'https://mail.google.com/',
  serviceScope: 'https://mail.google.com/',
  authorizationParameters: { access_type: 'offline', prompt: 'consent' },
}

/** `tenant`: a directory's id or domain, or 'common'. */
export const microsoft = (tenant = 'common'): Provider => {
  const base = `https://login.microsoftonline.com/${encodeURIComponent(tenant)}/oauth2/v2.0`
  return {
    tokenEndpoint: `${base}/token`,
    authorizationEndpoint: `${base}/authorize`,
    deviceEndpoint: `${base}/devicecode`,
    scope:
      'https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/POP.AccessAsUser.All offline_access',
    serviceScope: 'https://outlook.office365.com/.default',
    authorizationParameters: {},
  }
}

/** What a record says, over its preset. */
export const providerOf = (record: OAuthProviderRecord): Provider => {
  const { preset, tenant, tokenEndpoint = '', authorizationEndpoint, deviceEndpoint, scope } = record
  const base: Provider =
    preset === 'google'
      ? google
      : preset === 'microsoft'
        ? microsoft(tenant)
        : {
            tokenEndpoint,
            authorizationEndpoint: undefined,
            deviceEndpoint: undefined,
            scope: '',
            serviceScope: '',
            authorizationParameters: {},
          }
  return {
    ...base,
    tokenEndpoint: record.tokenEndpoint ?? base.tokenEndpoint,
    authorizationEndpoint: authorizationEndpoint ?? base.authorizationEndpoint,
    deviceEndpoint: deviceEndpoint ?? base.deviceEndpoint,
    scope: scope ?? base.scope,
    serviceScope: scope ?? base.serviceScope,
  }
}

export const clientOf = ({ clientId, clientSecret }: OAuthProviderRecord): Client => ({
  id: clientId,
  secret: clientSecret,
})
