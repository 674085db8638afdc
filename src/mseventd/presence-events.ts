/** Events that follow from announcements, in the tags and keys of the administration guide's chapter 9. MON-04 */
import type { MailEvent } from '../events/types.ts'
import type { ListedPresence } from '../events/wire.ts'

/**
 * Events between two states of a presence, undefined standing for its absence. Those about a logged in user have the
 * user as their topic, the others `service:<service>`.
 */
export function presenceEvents(
  before: ListedPresence | undefined,
  after: ListedPresence | undefined,
  nowMs: number,
): readonly MailEvent[] {
  const presence = (after ?? before)!
  const { service, host, sessionId, clientAddress } = presence
  const make = (name: string, user?: string): MailEvent => ({
    topic: user ?? `service:${service}`,
    name,
    fields: {
      service,
      server_fqdn: host,
      ...(sessionId === undefined ? {} : { session_id: sessionId }),
      ...(clientAddress === undefined ? {} : { client_ip: clientAddress }),
      ...(user === undefined ? {} : { user }),
      time_stamp: (nowMs / 1000).toFixed(6),
    },
  })
  const events: MailEvent[] = []
  if (sessionId === undefined) {
    if (!before) events.push(make('service start'))
    if (!after) events.push(make('service stop'))
    return events
  }
  const userBefore = before?.user || undefined
  const userAfter = after?.user || undefined
  if (!before) events.push(make('conn open'))
  if (userBefore !== userAfter) {
    if (userBefore !== undefined) events.push(make('logout', userBefore))
    if (userAfter !== undefined) events.push(make('login', userAfter))
  }
  if (!after) events.push(make('conn close'))
  return events
}
