/**
 * Backends of a user as the entry in the directory names them: URLs in mboxBackends, and in isodeMboxMasterBackend the one that decides about
 * logins. UDB-14, docs/decisions/0072-where-backends-are-looked-up.md
 */
import type { BackendProtocol, BackendRecord } from './backend-record.ts'
import { usualPorts } from './backends.ts'
import type { UserRecord } from './ms-sync.ts'
import { quote } from './option.ts'

const protocols: Readonly<Record<string, BackendProtocol>> = {
  'pop:': 'pop',
  'pop3:': 'pop',
  'pops:': 'pops',
  'pop3s:': 'pops',
  'imap:': 'imap',
  'imap4:': 'imap',
  'imaps:': 'imaps',
}

/** `properties` of the account. Undefined when they name none. Throws RangeError for what can't be followed: another backend must not get the password. */
export const backendsOfEntry = (
  userId: string,
  properties: readonly (readonly [name: string, value: string])[],
): UserRecord | undefined => {
  const named = (wanted: string) =>
    properties.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value)
  const [master, ...masters] = named('isodemboxmasterbackend')
  const urls = named('mboxbackends')
  if (master === undefined && urls.length === 0) return undefined
  if (masters.length > 0 || (master === undefined && urls.length > 1))
    throw new RangeError('isodeMboxMasterBackend has to say which one of the backends decides about logins')
  const first = readUrl(master ?? urls[0]!)
  const extra = urls
    .map(readUrl)
    .filter(({ protocol, host, port, backendId }) =>
      [first.protocol !== protocol, first.host !== host, first.port !== port, first.backendId !== backendId].includes(
        true,
      ),
    )
  if ([first, ...extra].filter(({ protocol }) => protocol?.startsWith('imap')).length > 1)
    throw new RangeError(
      'mboxBackends has several IMAP backends, which would get the same mailboxes; name them in ms_sync.xml',
    )
  return { frontendId: userId, master: first, extra }
}

/** As `pop://pop.example.net:3110/`, with the user id there where it is another (RFC 2384, RFC 5092). */
const readUrl = (text: string): BackendRecord => {
  const url = URL.parse(text)
  const protocol = url === null ? undefined : protocols[url.protocol]
  const fits = url !== null && ['', '/'].includes(url.pathname) && url.search === '' && url.hash === ''
  if (url === null || protocol === undefined || !fits || url.hostname === '' || url.password !== '')
    throw new RangeError(
      `${quote(text.replace(/\/\/[^/]*@/, '//…@'))} is not a backend; write pop, pops, imap or imaps, as pop://pop.example.net:3110/`,
    )
  return {
    line: 0,
    protocol,
    host: decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1'),
    // Not ms_syncd_port, which is that of another host. UDB-06
    port: Number(url.port) || usualPorts[protocol],
    ...(url.username !== '' && { backendId: decodeURIComponent(url.username) }),
  }
}
