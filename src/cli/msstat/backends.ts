/** How the backends of users are, as ms_syncd tells (docs/mpp.md): the table of `msstat -b`. */
import { RemoteError } from '../../base/errors.ts'
import type { EventBus, Json } from '../../events/types.ts'
import { columns, printable } from './format.ts'

/** As far as it is shown; --json passes on what else there is. */
export interface BackendView {
  readonly user: string
  readonly backend: string
  readonly mailbox: string
  readonly state: string
  readonly reason?: string
  /** Milliseconds since 1970. */
  readonly last?: number
  readonly next?: number
  readonly since?: number
  readonly left?: number
  readonly eta?: number
  readonly listed: number
  readonly fetched: number
  readonly octets: number
}

interface HostView {
  readonly host: string
  readonly running: number
  readonly held?: string
  readonly until?: number
}

interface TotalsView {
  readonly users: number
  readonly backends: number
  readonly fetched: number
  readonly octets: number
  readonly states: Readonly<Record<string, number>>
  readonly running: number
  readonly waiting: number
}

export interface View {
  readonly backends: readonly BackendView[]
  readonly hosts: readonly HostView[]
  readonly totals: TotalsView
}

const timeoutMs = 10_000

/** All pages of ms_syncd's answer. Throws RemoteError when none runs, or it is one that does not know the question. */
export const readBackends = async (bus: EventBus): Promise<View> => {
  const backends: BackendView[] = []
  let first: Omit<View, 'backends'> | undefined
  for (let from: number | undefined = 0; from !== undefined; ) {
    const page = pageOf(await bus.ask('ms_sync', { type: 'status', from }, { timeoutMs }))
    first ??= page
    backends.push(...page.backends)
    // A page further than the last one ends it, whatever it says.
    from = page.next !== undefined && page.next > from ? page.next : undefined
  }
  return { ...first!, backends }
}

const pageOf = (answer: Json): View & { readonly next?: number } => {
  if (typeof answer !== 'object' || answer === null || !('backends' in answer) || !Array.isArray(answer.backends))
    throw new RemoteError('the ms_syncd that runs does not tell about backends; is it of an older version?', {
      retryable: false,
    })
  const { hosts = [], totals, next } = answer
  return {
    backends: answer.backends as unknown as readonly BackendView[],
    hosts: hosts as unknown as readonly HostView[],
    totals: totals as unknown as TotalsView,
    ...(typeof next === 'number' ? { next } : {}),
  }
}

const titles = ['user', 'backend', 'mailbox', 'state', 'last', 'next', 'messages', 'fetched', 'octets', 'reason']

/** A table with ages, and behind it the hosts that are held and the totals over all users. */
export const backendLines = ({ backends, hosts, totals }: View, nowMs: number): readonly string[] => {
  const rows = backends.map((view) => [
    printable(view.user),
    printable(view.backend),
    printable(view.mailbox || '-'),
    view.since === undefined ? view.state : `${view.state} ${age(nowMs - view.since)}`,
    view.last === undefined ? '-' : age(nowMs - view.last),
    view.next === undefined ? '-' : age(view.next - nowMs),
    String(view.listed),
    String(view.fetched),
    size(view.octets),
    [toCome(view, nowMs), printable(view.reason ?? '')].filter((text) => text !== '').join('; '),
  ])
  const held = hosts.filter((host) => host.held !== undefined)
  const states = Object.entries(totals.states).map(([state, count]) => `${count} ${state}`)
  return [
    ...(rows.length === 0 ? [] : columns([titles, ...rows], true)),
    ...held.map(
      ({ host, held: why, until }) =>
        `${printable(host)}: ${holds[why!] ?? why}, for ${age((until ?? nowMs) - nowMs)} more`,
    ),
    `${totals.users} users, ${totals.backends} backends: ${states.join(', ') || 'none'}; ${totals.running} sessions run, ${totals.waiting} wait; ${totals.fetched} messages, ${size(totals.octets)} fetched`,
  ]
}

const toCome = ({ left, eta }: BackendView, nowMs: number): string =>
  left === undefined ? '' : `${left} to come${eta === undefined ? '' : `, about ${age(eta - nowMs)} more`}`

const holds: Readonly<Record<string, string>> = {
  throttled: 'throttled, because it asked for fewer sessions or less traffic',
  away: 'away, because it could not be reached',
  quiet: 'quiet hours',
}

/** An object a line: the backends, then `{"host":…}` for each host in use, then the totals. */
export const backendJson = ({ backends, hosts, totals }: View): readonly string[] =>
  [...backends, ...hosts, { totals }].map((value) => JSON.stringify(value))

/** `45s`, `12m`, `3h`, `2d`. */
export const age = (ms: number): string => {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  if (seconds < 100) return `${seconds}s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 100) return `${minutes}m`
  const hours = Math.round(minutes / 60)
  return hours < 48 ? `${hours}h` : `${Math.round(hours / 24)}d`
}

/** `0`, `512`, `3.4K`, `12M`. */
export const size = (octets: number): string => {
  let value = octets
  for (const unit of ['', 'K', 'M', 'G']) {
    if (value < 1_024 || unit === 'G')
      return unit === '' ? String(value) : `${value.toFixed(value < 10 ? 1 : 0)}${unit}`
    value /= 1_024
  }
  return String(octets)
}
