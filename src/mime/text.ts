/** The text of a message that SEARCH BODY and TEXT look into. RFC 9051 §6.4.4 */

import { decodeCharset, decodeUnlabelled } from './charset.ts'
import { findParameter } from './parameter.ts'
import { decodeTransfer } from './transfer.ts'
import type { Part } from './types.ts'

/** The parts whose bodies are text, in message order; an embedded message's own parts among them. */
export function textParts(root: Part): readonly Part[] {
  const found: Part[] = []
  const open: Part[] = [root]
  for (let part = open.pop(); part !== undefined; part = open.pop()) {
    if (part.children.length > 0) open.push(...part.children.toReversed())
    else if (/^(?:text|message)$/i.test(part.type)) found.push(part)
  }
  return found
}

/** The text of a part of `textParts`, given the octets of its body: transfer encoding undone, charset decoded. */
export function decodeBody(part: Part, body: Buffer): string {
  const octets = decodeTransfer(body, part.encoding)
  const charset = findParameter(part.parameters, 'charset')
  return (charset === undefined ? undefined : decodeCharset(octets, charset)) ?? decodeUnlabelled(octets)
}
