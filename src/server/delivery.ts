/** Final delivery as the configuration says. */
import { hostname } from 'node:os'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Config } from '../config/config.ts'
import { createDeliverer } from '../delivery/deliverer.ts'
import { openMessageTrack } from '../delivery/message-track.ts'
import type { Deliverer, Filter, MessageTrack } from '../delivery/types.ts'
import type { Store } from '../store/types.ts'

export interface DeliveryServiceParts {
  /** The one in force now. */
  readonly config: () => Config
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
}

const daySeconds = 86_400
const octetsPerKb = 1024

/** `msgtrack_db`; whoever opens it closes it. LMTP-06 */
export const openTrack = ({ config, clock, log }: Omit<DeliveryServiceParts, 'store'>): MessageTrack =>
  openMessageTrack({
    path: config().get('msgtrack_db'),
    clock,
    log,
    historySeconds: () => {
      const days = config().get('duplicate_history')
      return (days < 0 ? 1 : days) * daySeconds
    },
  })

export const delivererOf = (
  { config, store, clock, log }: DeliveryServiceParts,
  track: MessageTrack,
  filter?: Filter,
): Deliverer =>
  createDeliverer({
    store,
    clock,
    log,
    hostName: hostname(),
    options: () => ({
      memoryOctets: config().get('lmtp_data_size') * octetsPerKb,
      autocreate: config().get('lmtp_autocreate'),
      isOverQuotaTemporary: config().get('over_quota_temp_error'),
      suppressesDuplicates: config().get('duplicate_suppression'),
    }),
    track,
    ...(filter === undefined ? {} : { filter }),
  })
