/** Answers msstat's question how the backends of users are. docs/mpp.md */
import type { UserId } from '#src/base/ids.ts'
import type { Json } from '#src/events/types.ts'
import type { Gateway } from './gateway.ts'
import { totalsOf } from './status.ts'

/** An answer of so many backends stays well below the limit of a frame. */
const pageLength = 1_000

export const isStatusRequest = (request: Json): boolean =>
  typeof request === 'object' && request !== null && 'type' in request && request.type === 'status'

/** The backends of one user where `user` names him. Else a page of backends, from `from` on; the first one carries totals and hosts. `next` is missing in the last. */
export const statusAnswer = async (gateway: Gateway, request: Json): Promise<Json> => {
  if (typeof request === 'object' && request !== null && 'user' in request)
    return { backends: gateway.statusOf(request.user as UserId).map((status) => ({ ...status })) }
  const asked = typeof request === 'object' && request !== null && 'from' in request ? request.from : 0
  const from = typeof asked === 'number' && Number.isSafeInteger(asked) && asked > 0 ? asked : 0
  const page = [...gateway.statuses(from).take(pageLength + 1)]
  return {
    backends: page.slice(0, pageLength).map((status) => ({ ...status })),
    ...(page.length > pageLength ? { next: from + pageLength } : {}),
    ...(from > 0
      ? {}
      : { totals: { ...(await totalsOf(gateway.statuses(), gateway.counts)) }, hosts: hostsOf(gateway) }),
  }
}

/** Those that are held, or have sessions. */
const hostsOf = (gateway: Gateway): Json =>
  [...gateway.hosts].flatMap((host) => {
    const { key, running, hold } = host
    if (hold === undefined && running === 0) return []
    return [{ host: key, running, ...(hold === undefined ? {} : { held: hold.why, until: hold.until }) }]
  })
