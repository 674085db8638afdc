/** Where in a message the sections of IMAP lie. RFC 9051 §6.4.5.1 */

import { type Field, splitFields } from './header.ts'
import type { Part } from './types.ts'

/** A section specification without the names of its fields. */
export interface SectionPath {
  /** Part numbers from 1, outermost first; empty for the message itself. */
  readonly part: readonly number[]
  /** undefined: all of the part. The HEADER words name the whole header. */
  readonly text: 'HEADER' | 'HEADER.FIELDS' | 'HEADER.FIELDS.NOT' | 'TEXT' | 'MIME' | undefined
}

/** Octets [start, end) of the message; undefined when the message has no such section (NIL on the wire). */
export function findSection(root: Part, { part: path, text }: SectionPath): { start: number; end: number } | undefined {
  const part = findPart(root, path)
  if (part === undefined) return undefined
  if (text === undefined) return { start: path.length === 0 ? part.start : part.bodyStart, end: part.end }
  if (text === 'MIME') return path.length === 0 ? undefined : { start: part.start, end: part.bodyStart }
  // HEADER and TEXT of a part mean the message that it holds.
  const message = path.length === 0 ? part : embeddedMessage(part)
  if (message === undefined) return undefined
  return text === 'TEXT'
    ? { start: message.bodyStart, end: message.end }
    : { start: message.start, end: message.bodyStart }
}

/** The part that the numbers lead to; the root for none. A message that is no multipart has one part, its body, numbered 1. */
export function findPart(root: Part, path: readonly number[]): Part | undefined {
  let part: Part | undefined = root
  let holder: Part | undefined = root
  for (const number of path) {
    if (holder === undefined) return undefined
    part = isMultipart(holder)
      ? holder.children[number - 1]
      : number === 1 && holder.envelope !== undefined
        ? holder
        : undefined
    if (part === undefined) return undefined
    holder = part !== holder && isMultipart(part) ? part : embeddedMessage(part)
  }
  return part
}

/** A header block, split once for any number of selections. */
export interface SplitHeader {
  readonly fields: readonly Field[]
  /** The empty line behind the fields as it stands there; '' where there is none. */
  readonly emptyLine: string
}

export function splitHeader(header: Uint8Array): SplitHeader {
  const octets = Buffer.from(header.buffer, header.byteOffset, header.byteLength).toString('latin1')
  return { fields: splitFields(octets), emptyLine: /(?:^|\n)(\r?\n)$/.exec(octets.slice(-4))?.[1] ?? '' }
}

/**
 * The fields of a header block that bear one of the names (`keep`), or none of them. The empty line that ends every header follows,
 * with all but some chosen fields only if the block has it (RFC 9051 §6.4.5.1). Names are compared without case.
 */
export function selectFields({ fields, emptyLine }: SplitHeader, names: readonly string[], keep: boolean): Buffer {
  const wanted = new Set(names.map((name) => name.toLowerCase()))
  const chosen = fields.filter(({ name }) => wanted.has(name) === keep)
  return Buffer.from(`${chosen.map(({ raw }) => raw).join('')}${keep ? '\r\n' : emptyLine}`, 'latin1')
}

function isMultipart({ type }: Part): boolean {
  return type.toLowerCase() === 'multipart'
}

function embeddedMessage(part: Part): Part | undefined {
  return isMultipart(part) ? undefined : part.children[0]
}
