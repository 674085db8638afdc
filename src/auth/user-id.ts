/**
 * User ids as clients send them, made into the one canonical form (CAN-01 to CAN-05): NFC, with a domain, the domain in lower-case
 * ASCII (decision 0070). Everything downstream (store, accounts, maps) sees canonical ids only.
 */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { domainToASCII } from 'node:url'
import { SyntaxFault } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { Config } from '../config/config.ts'

/** RFC 5321 §4.5.3.1 */
const maxLocalOctets = 64
const maxDomainOctets = 255
/** Looked at before anything else; NFC can't make more of it than a few times as much. */
const maxOctets = 1000

/**
 * The canonical form of what a client or an operator gave; `defaultDomain` is for ids without one.
 * Throws SyntaxFault saying what is wrong (and nothing about whether the user exists).
 */
export const canonicalUserId = (given: string, defaultDomain: string): UserId => {
  if (Buffer.byteLength(given) > maxOctets) throw new SyntaxFault('a user id of this length can not exist', 'userid')
  const name = given.normalize('NFC')
  const at = name.lastIndexOf('@')
  const local = at < 0 ? name : name.slice(0, at)
  checkLocal(local)
  return `${local}@${canonicalDomain(at < 0 ? defaultDomain : name.slice(at + 1))}` as UserId
}

/** Undefined for a name that nobody can log in with. */
export function findUserId(name: string, domain: string): UserId | undefined {
  try {
    return canonicalUserId(name, domain)
  } catch (error) {
    if (error instanceof SyntaxFault) return undefined
    throw error
  }
}

const checkLocal = (local: string) => {
  if (local === '') throw new SyntaxFault('a user id begins with a name before the @', 'userid')
  if (Buffer.byteLength(local) > maxLocalOctets)
    throw new SyntaxFault(`the name before the @ has more than ${maxLocalOctets} octets`, 'userid')
  if (!local.isWellFormed() || /[\p{C}\p{Z}@]/u.test(local))
    throw new SyntaxFault('a user id has no blanks, control characters or second @', 'userid')
  // Full-width letters, ligatures and the like: another spelling of the same name.
  if (local.normalize('NFKC') !== local)
    throw new SyntaxFault('a user id has no compatibility characters; write it with ordinary letters', 'userid')
}

/** Lower-case ASCII form. Throws SyntaxFault. */
export const canonicalDomain = (domain: string): string => {
  const labels = domain.split('.')
  const wellFormed =
    domain.length <= maxDomainOctets &&
    labels.every((label) => label !== '' && label.length <= 63 && /^[\p{L}\p{M}\p{N}_-]+$/u.test(label))
  const ascii = wellFormed ? domainToASCII(domain) : ''
  if (ascii === '' || ascii.length > maxDomainOctets)
    throw new SyntaxFault('the part behind the @ is not a domain name', 'userid')
  return ascii
}

/** Of a canonical id. */
export const domainOf = (userId: UserId): string => userId.slice(userId.lastIndexOf('@') + 1)

/** The domain for ids without one: of the interface, of the option `domain`, of the machine. CAN-02, CAN-04 */
export const defaultDomain = (config: Config, localAddress: string | undefined): string => {
  const address = localAddress === undefined ? undefined : plainAddress(localAddress)
  const mapped = config.all('domain_map').find(({ localAddr }) => plainAddress(localAddr) === address)
  return mapped?.domain ?? config.get('domain') ?? machineDomain()
}

/** Without the zone of a link-local address and the prefix of an IPv4 address on a dual-stack socket. */
const plainAddress = (address: string) =>
  address
    .toLowerCase()
    .replace(/%.*$/, '')
    .replace(/^::ffff:(?=\d+\.)/, '')

let machine: string | undefined
/** Fully qualified host name: the name itself, or its longer form in /etc/hosts as `hostname -f` finds it. */
const machineDomain = (): string => {
  machine ??= findMachineDomain(hostname())
  return machine
}
const findMachineDomain = (host: string): string => {
  if (host.includes('.')) return host
  let hosts = ''
  try {
    hosts = readFileSync('/etc/hosts', 'utf8')
  } catch {
    // Without the file there is only the short name.
  }
  for (const line of hosts.split('\n')) {
    const names = line.replace(/#.*$/, '').trim().split(/\s+/).slice(1)
    const qualified = names.includes(host) ? names.find((name) => name.startsWith(`${host}.`)) : undefined
    if (qualified !== undefined) return qualified
  }
  return host
}
