/** Sieve URLs: a server, its scripts, or one script there. RFC 5804 §3 */

import { SyntaxFault } from '../../base/errors.ts'

export interface SieveUrl {
  /** Of the authority; decoded. */
  readonly user: string | undefined
  /** As in the URL; an IPv6 address without its brackets. */
  readonly host: string
  /** 4190 where the URL names none. */
  readonly port: number
  /** Whose scripts; '' names the global ones, undefined the user's own. */
  readonly owner: string | undefined
  /** undefined: the server, or all scripts. */
  readonly script: string | undefined
}

const defaultPort = 4190
const maxUrlOctets = 4_096
const authorityPattern = /^(?:([^@]*)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%-]+)(?::([0-9]{0,5}))?$/
/** ochar, §3: pchar without ";", "&" and "=". */
const segmentPattern = /^(?:[A-Za-z0-9._~!$'()*+,:@-]|%[0-9A-Fa-f]{2})*$/
const userPattern = /^(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*$/

/** Throws SyntaxFault that says what is wrong. */
export function parseSieveUrl(url: string): SieveUrl {
  const scheme = 'sieve://'
  if (url.length > maxUrlOctets || url.slice(0, scheme.length).toLowerCase() !== scheme)
    throw new SyntaxFault('a Sieve URL begins with sieve:// and is not endless', 'sieveurl')
  const rest = url.slice(scheme.length)
  const slash = rest.indexOf('/')
  const authority = slash < 0 ? rest : rest.slice(0, slash)
  const found = authorityPattern.exec(authority)
  const port = found?.[3] === undefined || found[3] === '' ? defaultPort : Number(found[3])
  if (found === null || port > 65_535 || port === 0 || !userPattern.test(found[1] ?? ''))
    throw new SyntaxFault('a Sieve URL names a server: sieve://[user@]host[:port]', 'authority')
  const segments = slash < 0 ? [] : rest.slice(slash + 1).split('/')
  const script = segments.pop()
  if (segments.length > 1 || [script ?? '', ...segments].some((segment) => !segmentPattern.test(segment)))
    throw new SyntaxFault('behind the server a Sieve URL has [owner/]script, other characters as %xx', 'scriptname')
  const owner = segments[0]
  if (owner !== undefined && script === '')
    throw new SyntaxFault('an owner in a Sieve URL has a script behind it', 'scriptname')
  return {
    user: found[1] === undefined ? undefined : decoded(found[1]),
    host: found[2]!.replace(/^\[|\]$/g, ''),
    port,
    owner: owner === undefined ? undefined : decoded(owner),
    script: script === undefined || script === '' ? undefined : decoded(script),
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new SyntaxFault('what is behind % in a Sieve URL has to be UTF-8', 'pct-encoded')
  }
}
