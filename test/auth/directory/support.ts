import { openAccountSource } from '#src/auth/account-source.ts'
import { createHashPool } from '#src/auth/hash-pool.ts'
import { systemClock } from '#src/base/clock.ts'
import { type Log, silentLog } from '#src/base/log.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import { service, users } from '../../support/slapd.ts'

export const hashPool = createHashPool({ threads: 1 })

/** Options for the users of a slapd of test/support. */
export const directory = (url: string | readonly string[], more: ConfigOverrides = {}): ConfigOverrides => ({
  auxprop_plugin: ['ldapdb'],
  ldapdb_uri: [url].flat(),
  ldapdb_dn: service.dn,
  ldapdb_pw: service.password,
  ldapdb_mech: 'SIMPLE',
  saslSearchSuffix: users,
  saslDCMappingSuffix: users,
  ldap_connect_retry_pause: 0,
  ...more,
})

export const open = (overrides: ConfigOverrides, log: Log = silentLog) =>
  openAccountSource({ config: configOf(overrides), log, clock: systemClock, hashPool })
