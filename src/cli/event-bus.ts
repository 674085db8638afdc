/** The event bus, for a program that somebody waits for: they are told when it isn't there. */
import { type Clock, systemClock } from '../base/clock.ts'
import { RemoteError } from '../base/errors.ts'
import { silentLog } from '../base/log.ts'
import type { Config } from '../config/config.ts'
import { describeAddress, openSocket } from '../events/address.ts'
import { connectEvents } from '../events/client.ts'
import type { EventBus } from '../events/types.ts'
import { eventsOf } from '../server/events-address.ts'

const connectMs = 5_000

/** `name` is what mseventd knows the program by. Throws RemoteError, which says what to look at. */
export const connected = async (config: Config, name: string, clock: Clock = systemClock): Promise<EventBus> => {
  const { address, tls } = await eventsOf(config)
  try {
    // One attempt, so that its error can be told; the bus itself would go on trying.
    const socket = await openSocket(address, tls, AbortSignal.timeout(connectMs))
    socket.destroy()
  } catch (cause) {
    throw new RemoteError(
      `mseventd at ${describeAddress(address)} can't be reached (${(cause as Error).message}). Is it running? Its address is msevent_host in ${config.file ?? 'ms.conf'}`,
      { cause, retryable: true },
    )
  }
  return connectEvents({ address, tls, clock, log: silentLog, name })
}
