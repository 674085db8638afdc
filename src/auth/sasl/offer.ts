/** Which ways of logging in a client is offered on its connection. AUTH-02 */
import type { Config } from '../../config/config.ts'
import { readsClearPasswords, usesDirectory } from '../../config/directory.ts'
import { takesTokens } from '../token-users.ts'
import type { LoginPlace } from '../types.ts'
import { oauthBearer, xoauth2 } from './bearer.ts'
import { external } from './external.ts'
import { cramMd5, digestMd5 } from './md5.ts'
import type { Channel, Mechanism } from './mechanism.ts'
import { login, plain } from './plain.ts'
import { scram, scramPlus } from './scram.ts'

/** Strongest first (AUTH-05): clients that take the first they know take the best. */
export const mechanisms: readonly Mechanism[] = [
  external,
  scramPlus('sha256'),
  scramPlus('sha1'),
  scram('sha256'),
  scram('sha1'),
  oauthBearer,
  xoauth2,
  digestMd5,
  cramMd5,
  plain,
  login,
]

export interface Offer {
  /** A password may be shown: LOGIN, USER and PASS, and the mechanisms that do the same. */
  readonly passwords: boolean
  /** Names for AUTH= and SASL. */
  readonly mechanisms: readonly string[]
}

/**
 * What mech_list, login_disabled, min_ssf and gateway_mode (GW-13) leave of the mechanisms. Nothing here adds a security layer of its own, so the
 * strength of a session is that of TLS, and every max_ssf is kept. Entries of a directory have perhaps the
 * password, which the embedded accounts don't have, and no keys for SCRAM, unless they are made from it (AUTH-04, AUTH-08).
 */
export const offerOf = (config: Config, channel: Channel | undefined, service?: LoginPlace['service']): Offer => {
  const strong = (channel?.ssf ?? 0) >= config.get('min_ssf')
  const passwords = strong && (channel !== undefined || !config.get('login_disabled'))
  const usable = (uses: Mechanism['uses']): boolean => {
    switch (uses) {
      case 'password':
        return passwords
      case 'keys':
        return !usesDirectory(config) || readsClearPasswords(config)
      case 'clear password':
        // AUTH-13: both of these are made of MD5.
        return !config.get('fips140_mode') && readsClearPasswords(config)
      case 'token':
        // RFC 7628 §4: never without TLS.
        return channel !== undefined && takesTokens(config)
      case 'certificate':
        return channel !== undefined && channel.clientNames.length > 0
    }
  }
  const may = (mechanism: Mechanism): boolean =>
    strong &&
    usable(mechanism.uses) &&
    (mechanism.binds !== true || channel?.binds === true) &&
    listed(config, mechanism)
  // GW-13: the backend needs the password, which LOGIN, and USER and PASS, bring. ManageSieve has no such command.
  const bringsPassword = ({ uses }: Mechanism) => service === 'sieve' && uses === 'password'
  const offered = config.get('gateway_mode') ? mechanisms.filter(bringsPassword) : mechanisms
  return { passwords, mechanisms: offered.filter(may).map(({ name }) => name) }
}

/** Whether the mechanism would be offered on a connection with the best TLS. */
export const offeredOverTls = (config: Config, name: string, service?: LoginPlace['service']): boolean =>
  offerOf(config, bestTls, service).mechanisms.includes(name)

const bestTls: Channel = { ssf: 256, binds: true, binding: () => undefined, clientNames: [] }

/**
 * In synchronisation mode a backend may need the user's password (SYN-01), and in migration mode it proves who has no account yet (MIG-03). Only
 * some mechanisms bring it: the others have to be asked for.
 */
const listed = (config: Config, { name, family, uses }: Mechanism): boolean => {
  const list = config.get('mech_list')?.map((word) => word.toUpperCase())
  if (list === undefined) return uses === 'password' || !(config.get('sync_mode') || config.get('auto_migrate'))
  return list.includes(name) || (family !== undefined && list.includes(family))
}
