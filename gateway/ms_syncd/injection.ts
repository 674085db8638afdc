/** The way into the store that the configuration asks for. GW-23, GW-24 */
import { defaultDomain } from '#src/auth/user-id.ts'
import type { Clock } from '#src/base/clock.ts'
import type { Config } from '#src/config/config.ts'
import { submissionOf } from '#src/submission/settings.ts'
import { ContentChecker } from '../sync/inject/cccp.ts'
import { convertingInjection } from '../sync/inject/converting.ts'
import { directInjection } from '../sync/inject/direct.ts'
import type { Injection } from '../sync/inject/injector.ts'
import { smtpInjection } from '../sync/inject/smtp.ts'

export const injectionOf = (config: Config, clock: Clock): Injection => {
  const next = withoutChecks(config, clock)
  const host = config.get('cccp_host')
  if (host === undefined) return next
  const checker = new ContentChecker({
    host,
    port: config.get('cccp_port'),
    timeoutMs: config.get('cccp_timeout') * 1_000,
    maxOctets: config.get('cccp_max_size') * 1_024,
  })
  return convertingInjection({ checker, isFailOpen: config.get('cccp_failure') === 'pass' }, next, clock)
}

const withoutChecks = (config: Config, clock: Clock): Injection => {
  if (!config.get('smtp_injection')) return directInjection(clock)
  const sender = config.get('smtp_injection_sender') ?? `mssync@${defaultDomain(config, undefined)}`
  return smtpInjection({ submission: submissionOf(config), sender }, clock)
}
