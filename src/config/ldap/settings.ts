/**
 * Entries of the directory as the elements that ms.conf would have, so that both are validated in the same way. Attributes are options one to one, but for those
 * that carry several: listeners, backend and submission server are URLs. LDAP-05
 */
import type { Setting } from '../draft.ts'
import type { Finding } from '../finding.ts'
import type { ListenerService } from '../listeners.ts'
import { Invalid, quote } from '../option.ts'
import { type OptionName, optionNames, optionOf } from '../options.ts'
import type { XmlElement } from '../xml.ts'
import { type EntrySettings, elementOf } from './element.ts'
import type { ConfigurationEntries, DirectoryEntry } from './entries.ts'
import { sharedFolderSettings } from './shared-folders.ts'

/** The directory server's own entry is read behind the server's, and counts more. */
export const settingsOf = (entries: ConfigurationEntries): EntrySettings => {
  const { server, dsa } = entries
  const sharing = sharedFolderSettings(entries)
  const found = [server, ...(dsa === undefined ? [] : [dsa])].map(settingsOfEntry)
  const [first, second] = found
  const later = new Set(second?.settings.map(({ name }) => name))
  return {
    settings: [
      ...first!.settings.filter(({ name }) => !later.has(name)),
      ...(second?.settings ?? []),
      ...sharing.settings,
    ],
    findings: [...found, sharing].flatMap(({ findings }) => findings),
  }
}

type Values = readonly (readonly [name: OptionName, value: string | XmlElement])[]
/** Throws Invalid. */
type Reader = (value: string) => Values

const settingsOfEntry = ({ dn, attributes }: DirectoryEntry): EntrySettings => {
  const settings: Setting[] = []
  const findings: Finding[] = []
  for (const [lower, values] of Object.entries(attributes)) {
    const { attribute, read } = readers.get(lower) ?? {}
    if (attribute === undefined || read === undefined) continue
    const place = { source: dn, attribute }
    const report = (message: string) =>
      findings.push({ severity: 'error', file: dn, line: undefined, option: undefined, attribute, message })
    if (singleUrls.includes(attribute) && values.length > 1) report('has several values; leave one')
    for (const value of values)
      try {
        for (const [name, given] of read(value))
          settings.push({ name, place, element: typeof given === 'string' ? elementOf(name, given) : given })
      } catch (error) {
        if (!(error instanceof Invalid)) throw error
        report(error.message)
      }
  }
  return { settings, findings }
}

/** The URL types of 2.2.4.1, their services and usual ports. */
const listenerTypes: Readonly<Record<string, ListenerService>> = {
  imap: 'imap',
  imaps: 'imaps',
  pop: 'pop3',
  pop3s: 'pop3s',
  lmtp: 'lmtp',
  sieve: 'sieve',
  'isode.event': 'msevent',
  'isode.log': 'mlogd',
}
/** C-03: of several backends in the server's own entry, nothing says which one is meant. */
const singleUrls: readonly string[] = ['mboxBackends', 'mboxConnectors']

interface ParsedUrl {
  readonly type: string
  readonly host: string
  readonly port: string | undefined
  /** Decoded. */
  readonly path: string
}

/** Any scheme, an empty host too, which URL.parse would not have; what is behind the path is not looked at. RFC 3986 §3 */
const parseUrl = (text: string): ParsedUrl | undefined => {
  const found = /^([a-z][a-z0-9.+-]*):\/\/(\[[0-9a-f:.]+\]|[^/?#:@\s]*)(?::(\d{1,5}))?(\/[^?#]*)?(?:[?#].*)?$/i.exec(
    text,
  )
  if (found === null) return undefined
  const [, type = '', host = '', port, path = ''] = found
  try {
    return {
      type: type.toLowerCase(),
      host: decodeURIComponent(host).replace(/^\[(.*)\]$/, '$1'),
      port,
      path: decodeURIComponent(path),
    }
  } catch {
    // Percent signs that decode to nothing.
    return undefined
  }
}

/** CAN-06, CAN-07: a host or none, and perhaps a port; or the path of a Unix socket, as the path or as ldapi writes it. */
const readListener: Reader = (value) => {
  const url = parseUrl(value)
  const service = url === undefined ? undefined : listenerTypes[url.type]
  if (url === undefined || service === undefined)
    throw new Invalid(
      `${quote(value)} is not a listener; write ${Object.keys(listenerTypes).join(', ')} with host and port, as imap://192.0.2.1:143`,
    )
  const takesSockets = service === 'lmtp' || service === 'msevent' || service === 'mlogd'
  const host = url.host === '' && takesSockets && url.path.length > 1 ? url.path : url.host
  return [
    [`${service}_host`, host],
    [`${service}_port`, url.port ?? String(optionOf(`${service}_port`).default)],
  ]
}

const backendPorts: Readonly<Record<string, string>> = {
  pop: '110',
  pop3: '110',
  pops: '995',
  pop3s: '995',
  imap: '143',
  imap4: '143',
  imaps: '993',
}

const readBackend: Reader = (value) => {
  const url = parseUrl(value)
  const usual = url === undefined ? undefined : backendPorts[url.type]
  if (url === undefined || usual === undefined || url.host === '')
    throw new Invalid(
      `${quote(value)} is not a backend; write pop, pops, imap or imaps, as pop://pop.example.net:3110/`,
    )
  return [
    ['ms_syncd_protocol', url.type],
    ['ms_syncd_host', url.host],
    ['ms_syncd_port', url.port ?? usual],
  ]
}

const readConnector: Reader = (value) => {
  const url = parseUrl(value)
  if (url?.type !== 'smtp' || url.host === '')
    throw new Invalid(`${quote(value)} is not a submission server; write smtp://out-smtp.example.net:25/`)
  return [
    ['submit_host', url.host],
    ['submit_port', url.port ?? String(optionOf('submit_port').default)],
  ]
}

/** The manual does not say how the values look: address and domain, like name and rights in mboxAccessControlList. CAN-05 */
const readDomainMapping: Reader = (value) => {
  const [address, domain, ...more] = value.trim().split(/[\s=]+/)
  if (!address || !domain || more.length > 0)
    throw new Invalid(`${quote(value)} is not an address, a blank and a domain, as 192.0.2.1 example.com`)
  return [['domain_map', elementOf('domain_map', '', { local_addr: address, domain })]]
}

const ofUrls: Readonly<Record<string, Reader>> = {
  mboxListeners: readListener,
  mboxBackends: readBackend,
  mboxConnectors: readConnector,
  mboxListenDomainMappings: readDomainMapping,
  mboxRemoteDomainMappings: readDomainMapping,
}

/** Names of options that have none of the directory's own. C-34 */
const plainly: readonly OptionName[] = [
  'saslSearchSuffix',
  'saslDCMappingSuffix',
  'saslDefaultDomain',
  'saslUsernameAttribute',
  'saslDomainAttribute',
]

/** By name in lower case. One attribute may be several options (mboxTlsCipherList). */
const readers: ReadonlyMap<string, { readonly attribute: string; readonly read: Reader }> = (() => {
  const names = new Map<string, OptionName[]>()
  for (const name of optionNames) {
    const attribute = plainly.includes(name) ? name : optionOf(name).ldap
    if (attribute === undefined || attribute.includes(',') || attribute in ofUrls || attribute === 'mboxGroup') continue
    names.set(attribute, [...(names.get(attribute) ?? []), name])
  }
  const plain = [...names].map(([attribute, options]): [string, { attribute: string; read: Reader }] => [
    attribute.toLowerCase(),
    { attribute, read: (value) => options.map((name) => [name, value] as const) },
  ])
  const urls = Object.entries(ofUrls).map(
    ([attribute, read]) => [attribute.toLowerCase(), { attribute, read }] as const,
  )
  return new Map([...plain, ...urls])
})()
