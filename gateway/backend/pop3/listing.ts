/** Bodies of UIDL and LIST, and the text of STAT. RFC 1939 §5, §7. Lines that make no sense are left out. */
import { BackendError } from '../errors.ts'
import { printable } from '../reply-classifier.ts'
import type { Listed } from '../types.ts'

/** Message numbers are at most nine digits, without sign. */
const number = (text: string): number | undefined => (/^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined)

function* fields(body: Buffer): Generator<readonly [number: number, rest: string]> {
  for (const line of body.toString('latin1').split('\n')) {
    const text = line.endsWith('\r') ? line.slice(0, -1) : line
    const space = text.indexOf(' ')
    const message = number(space < 0 ? text : text.slice(0, space))
    if (message !== undefined) yield [message, space < 0 ? '' : text.slice(space + 1)]
  }
}

/** A number that comes twice keeps its first unique-id. */
export const parseUidl = (body: Buffer): readonly Listed[] => {
  const seen = new Set<number>()
  const listed: Listed[] = []
  for (const [message, rest] of fields(body)) {
    if (seen.has(message)) continue
    seen.add(message)
    listed.push({ number: message, uidl: rest.trim() })
  }
  return listed
}

export const parseList = (body: Buffer): ReadonlyMap<number, number> => {
  const sizes = new Map<number, number>()
  for (const [message, rest] of fields(body)) {
    const size = /^\s*(\d{1,15})/.exec(rest)
    if (size !== null) sizes.set(message, Number(size[1]))
  }
  return sizes
}

/** `nn mm` of STAT; throws when the server's OK says nothing of the kind (an accepted login without a maildrop). */
export const parseStat = (text: string): { readonly count: number; readonly octets: number } => {
  const match = /^\s*(\d{1,9})\s+(\d{1,15})/.exec(text)
  if (match === null)
    throw new BackendError('protocol', 'the backend accepted the login, but its STAT shows no maildrop', {
      serverText: printable(text),
    })
  return { count: Number(match[1]), octets: Number(match[2]) }
}
