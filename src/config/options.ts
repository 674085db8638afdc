/**
 * The table of every option: the only place that knows a name. Validation, `config.get`'s types, `docs/options.md` and
 * `mbox check-config` come from it. The rows are in `options/`, a file for each part of the administration guide.
 */
import type { Option } from './option.ts'
import { deliveryOptions } from './options/delivery.ts'
import { directoryOptions } from './options/directory.ts'
import { domainRuleOptions } from './options/domain-rules.ts'
import { domainOptions } from './options/domains.ts'
import { fileOptions } from './options/files.ts'
import { gatewayOptions } from './options/gateway.ts'
import { generalOptions } from './options/general.ts'
import { listenerOptions } from './options/listeners.ts'
import { lmtpOptions } from './options/lmtp.ts'
import { loginOauthOptions } from './options/login-oauth.ts'
import { ownOptions } from './options/own.ts'
import { saslOptions } from './options/sasl.ts'
import { sharedFolderOptions } from './options/shared-folders.ts'
import { tlsOptions } from './options/tls.ts'

export const options = {
  ...gatewayOptions,
  ...generalOptions,
  ...domainOptions,
  ...listenerOptions,
  ...tlsOptions,
  ...fileOptions,
  ...deliveryOptions,
  ...saslOptions,
  ...directoryOptions,
  ...sharedFolderOptions,
  ...ownOptions,
  ...domainRuleOptions,
  ...loginOauthOptions,
  ...lmtpOptions,
}

/** An element of ms.conf; the ones inside `sasl` go by their plain names too, except `sasl/tls_cipher_list`. */
export type OptionName = keyof typeof options
export type OptionValue<N extends OptionName> = (typeof options)[N] extends Option<infer T> ? T : never
export type OptionValues = { readonly [N in OptionName]: OptionValue<N> }

/** In the order of the reference. */
export const optionNames = Object.keys(options) as readonly OptionName[]

/** The row of a name, for code that works on any option. */
export const optionOf = (name: OptionName): Option<unknown> => options[name]
