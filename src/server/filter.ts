/** Sieve at delivery, as the configuration wants it. SV-01 to SV-12 */
import { hostname } from 'node:os'
import type { Accounts } from '../auth/accounts.ts'
import { defaultDomain, findUserId } from '../auth/user-id.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Config } from '../config/config.ts'
import { type FilterSettings, sieveFilter } from '../delivery/filter/filter.ts'
import type { Filter, MessageTrack } from '../delivery/types.ts'
import { sharingOf } from '../sharing/sharing.ts'
import type { Store } from '../store/types.ts'
import { Queue } from '../submission/queue.ts'
import { spoolOf, submissionOf } from '../submission/settings.ts'

export interface FilterServiceParts {
  readonly config: Config
  readonly store: Store
  readonly accounts: Pick<Accounts, 'find'>
  readonly track: MessageTrack
  readonly clock: Clock
  readonly log: Log
}

/** What filters and what sends; stopped behind the last delivery. */
export interface FilterService {
  readonly filter: Filter
  /** Sends what waits, from now on; a process that ends soon leaves that to others. */
  start(): void
  stop(graceMs: number): Promise<void>
  reload(config: Config): void
}

const addressProperties = ['mail', 'maillocaladdress']

export function createFilter({ config, store, accounts, track, clock, log }: FilterServiceParts): FilterService {
  let settings = filterSettings(config)
  let sharing = sharingOf(config)
  let domain = settings.redirect.domain
  const queue = new Queue({ spool: spoolOf(config, clock), submission: submissionOf(config), clock, log, domain })
  const filter = sieveFilter({
    store,
    track,
    outbox: queue,
    clock,
    log,
    hostName: hostname(),
    settings: () => settings,
    sharing: () => sharing,
    addressesOf: async ({ userId }) => {
      const account = userId === undefined ? undefined : await accounts.find(userId)
      return (account?.properties ?? []).flatMap(([name, value]) =>
        addressProperties.includes(name.toLowerCase()) ? [value] : [],
      )
    },
    groupsOf: (address) => {
      const userId = findUserId(address, domain)
      return userId === undefined ? new Set() : sharing.identityOf(userId).groups
    },
  })
  return {
    filter,
    start: () => queue.start(),
    stop: (graceMs) => queue.stop(graceMs),
    reload: (next) => {
      settings = filterSettings(next)
      sharing = sharingOf(next)
      domain = settings.redirect.domain
      queue.reload(submissionOf(next))
    },
  }
}

/** What a run of scripts goes by. */
export function filterSettings(config: Config): FilterSettings {
  const told = [
    ['/shared/admin', config.get('imap_server_admin')],
    ['/shared/comment', config.get('imap_server_comment')],
  ] as const
  return {
    enabled: config.get('enable_sieve'),
    globalScript: config.get('global_sieve_script'),
    maxRedirects: config.get('sieve_maxredirects'),
    redirect: {
      mode: config.get('sieve_redirect_mode'),
      sender: config.get('sieve_redirect_sender'),
      domain: defaultDomain(config, undefined),
    },
    annotations: new Map(
      told.flatMap(([entry, value]) => (value === undefined || value === '' ? [] : [[entry, value] as const])),
    ),
  }
}
