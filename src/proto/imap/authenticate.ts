/** AUTHENTICATE and the lines that follow it. RFC 9051 §6.2.2, §9 rules authenticate, initial-resp, base64; RFC 4959 (SASL-IR) */

import { SyntaxFault } from '../../base/errors.ts'
import type { TokenReader } from './token-reader.ts'

export interface AuthenticateArgs {
  /** Upper case. */
  readonly mechanism: string
  /** Decoded; empty where "=" was sent, undefined where nothing was. */
  readonly initialResponse: Buffer | undefined
}

/** `SP auth-type [SP initial-resp] CRLF` */
export function readAuthenticateArgs(input: TokenReader): AuthenticateArgs {
  input.sp()
  const mechanism = input.keyword('auth-type')
  let initialResponse: Buffer | undefined
  if (input.tryChar(' ')) {
    const text = input.atom('initial-resp')
    initialResponse = text === '=' ? Buffer.alloc(0) : decodeBase64(text, 'initial-resp')
  }
  input.end()
  return { mechanism, initialResponse }
}

/** A client's line in answer to a challenge, decoded; 'cancel' for "*". Throws SyntaxFault. */
export function readAuthenticateResponse(line: Buffer): Buffer | 'cancel' {
  const text = line.toString('latin1')
  return text === '*' ? 'cancel' : decodeBase64(text, 'base64')
}

/** A challenge as the line of a continuation request. */
export function formatChallenge(challenge: Buffer): string {
  return `+ ${challenge.toString('base64')}\r\n`
}

function decodeBase64(text: string, rule: string): Buffer {
  const octets = Buffer.from(text, 'base64')
  // Node skips what is not base64; only the canonical text comes back equal
  if (octets.toString('base64') !== text) throw new SyntaxFault(`${rule}: expected base64`, rule)
  return octets
}
