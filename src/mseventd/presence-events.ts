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
  const events: MailEvent[] = []
  if (presence.sessionId === undefined) {
    if (!before) events.push(serviceEvent('service start', presence, nowMs))
    if (!after) events.push(serviceEvent('service stop', presence, nowMs))
    return events
  }
  const userBefore = before?.user || undefined
  const userAfter = after?.user || undefined
  if (!before) events.push(serviceEvent('conn open', presence, nowMs))
  if (userBefore !== userAfter) {
    if (userBefore !== undefined) events.push(userEvent('logout', presence, userBefore, nowMs))
    if (userAfter !== undefined) events.push(userEvent('login', presence, userAfter, nowMs))
  }
  if (!after) events.push(serviceEvent('conn close', presence, nowMs))
  return events
}

/** For those who listen to the service. */
export const serviceEvent = (name: string, presence: ListedPresence, nowMs: number): MailEvent => ({
  topic: `service:${presence.service}`,
  name,
  fields: { ...fieldsOf(presence), time_stamp: timeStamp(nowMs) },
})

const userEvent = (name: string, presence: ListedPresence, user: string, nowMs: number): MailEvent => ({
  topic: user,
  name,
  fields: { ...fieldsOf(presence), user, time_stamp: timeStamp(nowMs) },
})

const fieldsOf = ({ service, host, sessionId, clientAddress }: ListedPresence) => ({
  service,
  server_fqdn: host,
  ...(sessionId === undefined ? {} : { session_id: sessionId }),
  ...(clientAddress === undefined ? {} : { client_ip: clientAddress }),
})

/** Unix seconds with six decimals. */
const timeStamp = (ms: number): string => (ms / 1000).toFixed(6)
