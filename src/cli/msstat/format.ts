/** Lines of msstat, in the forms of the administration guide's chapter 9. */
import type { MailEvent } from '../../events/types.ts'
import type { ListedPresence } from '../../events/wire.ts'

/** Names and addresses come from clients: nothing in them may move the terminal's cursor or start a line. */
export const printable = (text: string): string =>
  text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)

const two = (n: number): string => String(n).padStart(2, '0')

/** HH:MM, hours going on past 24. */
export function duration(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000))
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
}

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `Fri 23 Apr 12:54`, local time. */
function start(ms: number): string {
  const date = new Date(ms)
  const day = `${days[date.getDay()]} ${two(date.getDate())} ${months[date.getMonth()]}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`
}

const since = (presence: ListedPresence, nowMs: number, pretty: boolean): string => {
  const connected = duration(nowMs - presence.since)
  return pretty ? `${start(presence.since)}(${connected})` : connected
}

/** `online ~ imap test-rhel5-64 02:48`; with `pretty` columns are padded and the start is shown. */
export function serviceLines(services: readonly ListedPresence[], nowMs: number, pretty: boolean): readonly string[] {
  return columns(
    services.map((item) => [`online ~`, item.service, printable(item.host), since(item, nowMs, pretty)]),
    pretty,
  )
}

export interface ConnectionColumns {
  readonly pretty: boolean
  readonly serverHost: boolean
  /** What to show for a client address. */
  readonly clientName: (address: string) => string
}

/** `joe imap dhcp-261.example.com idling INBOX 07:16`; the user is empty before authentication. */
export function connectionLines(
  connections: readonly ListedPresence[],
  nowMs: number,
  { pretty, serverHost, clientName }: ConnectionColumns,
): readonly string[] {
  return columns(
    connections.map((item) => [
      printable(item.user ?? ''),
      item.service,
      printable(clientName(item.clientAddress ?? '-')),
      printable([item.activity, item.mailbox].filter(Boolean).join(' ') || '-'),
      ...(serverHost ? [printable(item.host)] : []),
      since(item, nowMs, pretty),
    ]),
    pretty,
  )
}

export function columns(rows: readonly (readonly string[])[], padded: boolean): readonly string[] {
  if (!padded) return rows.map((row) => row.join(' '))
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]!.length))) ?? []
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join(' ')
      .trimEnd(),
  )
}

/** `conn open: service=imap server_fqdn=andrew.example.com …`; a value with blanks, quotes or nothing in it is quoted. */
export function eventLine({ name, fields }: MailEvent): string {
  const pairs = Object.entries(fields).map(([key, value]) => {
    const text = printable(String(value))
    return `${printable(key)}=${/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text)}`
  })
  return `${printable(name)}: ${pairs.join(' ')}`
}

/** Object of --json for a service or a connection. */
export const presenceJson = (presence: ListedPresence, nowMs: number): string =>
  JSON.stringify({ ...presence, seconds: Math.floor(Math.max(0, nowMs - presence.since) / 1000) })
