/** How access tokens of clients are checked (SASL OAUTHBEARER and XOAUTH2). Own. */
import { endpoint, endpointWords } from '../oauth-provider.ts'
import { Invalid, type Option, optionsOf, quote, textOf } from '../option.ts'
import { logins } from './services.ts'

const { custom, password, string } = optionsOf('ms_options')

const url = (doc: string): Option<string | undefined> =>
  custom<string | undefined>(
    { section: 'own', default: undefined, services: logins, reload: 'live', doc },
    {
      type: 'url',
      valid: endpointWords,
      read: (element) => {
        const text = textOf(element)
        const found = endpoint(text)
        if (found === undefined) throw new Invalid(`${quote(text)} is not ${endpointWords}`)
        return found
      },
    },
  )

export const loginOauthOptions = {
  login_oauth_introspection: url(
    'Introspection endpoint of an OAuth provider (RFC 7662): it is asked about the token of each login by OAUTHBEARER or XOAUTH2, which are offered over TLS then.',
  ),
  login_oauth_jwks: url(
    "The provider's keys (RFC 7517), instead: tokens are JWTs and are checked here. login_oauth_issuer and login_oauth_audience are needed with it.",
  ),
  login_oauth_client_id: string({
    section: 'own',
    services: logins,
    reload: 'live',
    doc: 'Client id that this server has at the introspection endpoint.',
  }),
  login_oauth_client_secret: password({
    section: 'own',
    services: logins,
    reload: 'live',
    doc: 'Its secret.',
  }),
  login_oauth_issuer: string({
    section: 'own',
    services: logins,
    reload: 'live',
    doc: 'Issuer (iss) that a token has to be of.',
  }),
  login_oauth_audience: string({
    section: 'own',
    services: logins,
    reload: 'live',
    doc: 'Audience (aud) that a token has to be for.',
  }),
  login_oauth_scope: string({
    section: 'own',
    services: logins,
    reload: 'live',
    doc: 'A scope that a token has to have; unset: any.',
  }),
  login_oauth_claim: string({
    section: 'own',
    default: 'email',
    services: logins,
    reload: 'live',
    doc: 'Claim of the token, or member of the answer, that has the user id. With email_verified false an email is not believed.',
  }),
}
