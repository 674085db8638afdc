/**
 * Tells when a service's process has been replaced: what the old one held in memory is gone. Its 'service start' says so, but
 * nobody hears that while mseventd is away; so each event of the service, and each gap, is a reason to look at the table of
 * services, where a process that announces itself again after mseventd was away is known by host and start.
 */
import type { EventBus, Presence } from './types.ts'

/**
 * Calls `listener` when a process that announced `service` has gone and another one is there. While none is there nothing is
 * said. The process should announce the service before it serves it: its first answers, which take longer than a look at the table,
 * come after the call then. Returns the way to stop.
 */
export function onReplacement(events: EventBus, service: Presence['service'], listener: () => void): () => void {
  let known = new Set<string>()
  let stopped = false
  const look = async () => {
    const services = (await events.presences(null)).filter((presence) => presence.service === service)
    const present = new Set(services.map(({ host, since }) => `${host} ${since}`))
    if (stopped || present.size === 0) return
    const replaced = known.difference(present).size > 0
    known = present
    if (replaced) listener()
  }
  // It fails when mseventd is away, and is done again when that is back.
  const lookIfPossible = () => void look().catch(() => {})
  const unsubscribe = events.subscribe([`service:${service}`], lookIfPossible, lookIfPossible)
  return () => {
    stopped = true
    unsubscribe()
  }
}
