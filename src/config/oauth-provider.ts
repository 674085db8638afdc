/** `<oauth_provider>` in ms_sync.xml: who gives the tokens that backends are logged in to with. Own. docs/decisions/0192-tokens-of-backends.md */
import { attributesOf, nonEmpty, oneOf, type Report, refuseText, withoutUndefined } from './attributes.ts'
import { quote } from './option.ts'
import type { XmlElement } from './xml.ts'

export interface OAuthProviderRecord {
  readonly line: number
  readonly name: string
  /** What is known of a large provider; everything else can still be said. */
  readonly preset?: 'google' | 'microsoft'
  /** Of the preset microsoft: a directory's id or domain. */
  readonly tenant?: string
  readonly clientId: string
  readonly clientSecret?: string
  /** `user`: each user consents; `service`: the client has the right to all mailboxes (client credentials). */
  readonly grant: 'user' | 'service'
  readonly tokenEndpoint?: string
  readonly authorizationEndpoint?: string
  readonly deviceEndpoint?: string
  /** Blanks between. */
  readonly scope?: string
}

export const providerAttributes = [
  'name',
  'preset',
  'tenant',
  'client_id',
  'client_secret',
  'grant',
  'token_endpoint',
  'authorization_endpoint',
  'device_endpoint',
  'scope',
] as const

const presets = { google: 'google', microsoft: 'microsoft' } as const
const grants = { user: 'user', service: 'service' } as const

/** Undefined where a finding says why. */
export const readProvider = (element: XmlElement, report: Report): OAuthProviderRecord | undefined => {
  refuseText(element, report)
  for (const child of element.children)
    report('error', child.line, undefined, `<${child.name}> is in <oauth_provider>; it must be empty`)
  const read = attributesOf(element, providerAttributes, report)
  const faults: string[] = []
  const missing = (name: string, message: string) => {
    faults.push(name)
    report('error', element.attributes.get(name)?.line ?? element.line, name, message)
  }
  const set = {
    preset: read('preset', `one of ${Object.keys(presets).join(', ')}`, oneOf(presets)),
    tenant: read('tenant', 'the id or the domain of a directory', nonEmpty),
    clientSecret: read('client_secret', 'a secret', nonEmpty),
    tokenEndpoint: read('token_endpoint', endpointWords, endpoint),
    authorizationEndpoint: read('authorization_endpoint', endpointWords, endpoint),
    deviceEndpoint: read('device_endpoint', endpointWords, endpoint),
    scope: read('scope', 'scopes with blanks between', nonEmpty),
  }
  const name = read('name', 'a name', nonEmpty)
  const clientId = read('client_id', 'the id that the provider gave', nonEmpty)
  const grant = read('grant', `one of ${Object.keys(grants).join(', ')}`, oneOf(grants)) ?? 'user'
  if (!element.attributes.has('name')) missing('name', 'is required in <oauth_provider>')
  if (!element.attributes.has('client_id')) missing('client_id', 'is required in <oauth_provider>')
  if (set.preset === undefined && !element.attributes.has('token_endpoint') && !element.attributes.has('preset'))
    missing('token_endpoint', "is required in <oauth_provider>; or set preset='google' or preset='microsoft'")
  if (set.tenant !== undefined && set.preset !== 'microsoft')
    missing('tenant', `${quote(set.tenant)} has a meaning for preset='microsoft' only; remove it`)
  if (grant === 'service') {
    if (set.preset === 'google') missing('grant', "'service' is not what Google knows for mail; valid is user")
    if (set.clientSecret === undefined) missing('client_secret', "is required for grant='service'")
    if (set.preset === 'microsoft' && set.tenant === undefined)
      missing('tenant', "is required for grant='service': the directory whose users are meant")
  }
  if (name === undefined || clientId === undefined || faults.length > 0) return undefined
  return { line: element.line, name, clientId, grant, ...withoutUndefined(set) }
}

export const endpointWords = 'an https URL'

/** Tokens and secrets go there; http is for a provider on the same machine. */
export const endpoint = (text: string): string | undefined => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const local = url?.hostname === 'localhost' || url?.hostname === '127.0.0.1'
  return url?.protocol === 'https:' || (url?.protocol === 'http:' && local) ? text : undefined
}
