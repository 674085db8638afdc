/** Administration guide 2.2.3 and 2.2.5: default domains, and who may use which service. */
import { isIP } from 'node:net'
import { Invalid, optionsOf, quote, textOf } from '../option.ts'
import type { XmlElement } from '../xml.ts'

const { string, custom } = optionsOf('ms_options')

/** A listening interface and the domain of the unqualified user ids that come in on it. CAN-02 */
export interface DomainMap {
  readonly localAddr: string
  readonly domain: string
}

export type ServiceName = 'imap' | 'pop' | 'sieve'
export type Access = 'allow' | 'deny'
export type ServiceAccess = Readonly<Partial<Record<ServiceName, Access>>>

const accessWords: Readonly<Record<string, Access>> = { allow: 'allow', grant: 'allow', deny: 'deny' }
const serviceNames: readonly string[] = ['imap', 'pop', 'sieve'] satisfies readonly ServiceName[]

const readAccess = (word: string): Access => {
  const access = Object.hasOwn(accessWords, word.toLowerCase()) ? accessWords[word.toLowerCase()] : undefined
  if (access === undefined) throw new Invalid(`${quote(word)} is not an access`)
  return access
}

const readServices = (element: XmlElement): ServiceAccess => {
  const rules: { [name in ServiceName]?: Access } = {}
  for (const pair of textOf(element).split(',')) {
    if (pair.trim() === '') continue
    const [service = '', access = '', ...more] = pair.split('=').map((part) => part.trim())
    const name = service.toLowerCase()
    if (!serviceNames.includes(name) || more.length > 0)
      throw new Invalid(`${quote(pair.trim())} is not a rule for a service`)
    if (rules[name as ServiceName] !== undefined) throw new Invalid(`has two rules for ${name}`)
    rules[name as ServiceName] = readAccess(access)
  }
  return rules
}

const readDomainMap = (element: XmlElement): DomainMap => {
  const get = (name: string) => {
    const value = element.attributes.get(name)?.value.trim()
    if (value === undefined || value === '') throw new Invalid(`lacks the attribute ${name}`)
    return value
  }
  for (const [name, { line }] of element.attributes)
    if (name !== 'local_addr' && name !== 'domain') throw new Invalid(`has the unknown attribute ${name}`, line)
  const [address, domain] = [get('local_addr'), get('domain')]
  if (isIP(address) === 0) throw new Invalid(`${quote(address)} is not an address of an interface`)
  if (!/^[\p{L}\p{M}\p{N}_-]+(?:\.[\p{L}\p{M}\p{N}_-]+)*$/u.test(domain))
    throw new Invalid(`${quote(domain)} is not a domain`)
  return { localAddr: shortest(address), domain }
}

/** As sockets tell it: RFC 5952 for IPv6, an IPv4 address on a dual-stack socket as IPv4. */
const shortest = (address: string): string => {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined || isIP(address) === 4) return mapped ?? address
  const zone = /%.*$/.exec(address)?.[0] ?? ''
  return new URL(`http://[${address.slice(0, address.length - zone.length)}]`).hostname.slice(1, -1) + zone
}

const loginServices = ['imapd', 'pop3d', 'lmtpd', 'sieved'] as const

export const domainOptions = {
  /** Each occurrence is one interface; `config.all('domain_map')` has them. CAN-05 */
  domain_map: custom<DomainMap | undefined>(
    {
      section: '2.2.3',
      default: undefined,
      services: loginServices,
      reload: 'live',
      repeatable: true,
      ldap: 'mboxListenDomainMappings, mboxRemoteDomainMappings',
      doc: 'Default domain of the user ids that come in on one interface; wins over `domain`.',
    },
    {
      type: 'list',
      valid: "<domain_map local_addr='192.0.2.1' domain='example.com'/>",
      attributes: [
        {
          section: '2.2.3',
          name: 'local_addr',
          parent: 'ms_options/domain_map',
          type: 'string',
          services: loginServices,
          doc: 'Address of the interface. Required.',
        },
        {
          section: '2.2.3',
          name: 'domain',
          parent: 'ms_options/domain_map',
          type: 'string',
          services: loginServices,
          doc: 'The default domain there. Required.',
        },
      ],
      read: readDomainMap,
    },
  ),
  domain: string({
    section: '2.2.3.1',
    services: ['imapd', 'pop3d', 'lmtpd', 'sieved', 'ms_syncd', 'msadm'],
    reload: 'live',
    ldap: 'mt-local-domain-site',
    computed: "the machine's fully qualified host name",
    valid: 'a domain name',
    doc: 'Domain of user ids that have none.',
  }),
  accessible_services: custom<ServiceAccess>(
    {
      section: '2.2.5.1',
      default: {},
      services: ['imapd', 'pop3d', 'sieved', 'msadm'],
      reload: 'live',
      ldap: 'AccessibleServices',
      doc: 'Services that users without a rule of their own may use.',
    },
    {
      type: 'list',
      valid: 'service=access pairs separated by commas; services are imap, pop, sieve, access is allow, grant or deny',
      read: readServices,
    },
  ),
  default_new_service_access: custom<Access>(
    {
      section: '2.2.5 (section lost)',
      default: 'allow',
      services: ['imapd', 'pop3d', 'sieved', 'msadm'],
      reload: 'live',
      doc: 'Access to services that neither the user nor accessible_services has a rule for.',
    },
    {
      type: 'enum',
      valid: 'one of allow, grant, deny',
      values: ['allow', 'grant', 'deny'],
      read: (element) => readAccess(textOf(element)),
    },
  ),
}
