/**
 * SCRAM (RFC 5802; RFC 7677 for SHA-256): client and server each prove that they know what was made of the password. The -PLUS forms bind the
 * proof to the TLS connection, so that nobody in the middle can pass it on.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { SyntaxFault } from '../../base/errors.ts'
import { badCredentials } from '../refusals.ts'
import type { ScramHash } from '../verifier.ts'
import { type Channel, type Exchange, type Mechanism, nothing, type Proof } from './mechanism.ts'
import { readSaslName } from './sasl-name.ts'

const names: Readonly<Record<ScramHash, string>> = { sha1: 'SCRAM-SHA-1', sha256: 'SCRAM-SHA-256' }

export const scram = (hash: ScramHash): Mechanism => ({
  name: names[hash],
  uses: 'keys',
  run: (exchange) => run(exchange, hash, false),
})

export const scramPlus = (hash: ScramHash): Mechanism => ({
  name: `${names[hash]}-PLUS`,
  family: names[hash],
  uses: 'keys',
  binds: true,
  run: (exchange) => run(exchange, hash, true),
})

/** `nonce`: the server's part of it, for tests. RFC 5802 §5.1: printable, no comma. */
export async function run(
  { ask, initial, channel, offered, scramKeys }: Exchange,
  hash: ScramHash,
  plus: boolean,
  nonce = randomBytes(18).toString('base64'),
): Promise<Proof> {
  const first = readFirst(initial ?? (await ask(nothing)))
  const binding = bindingOf(first, channel, plus)
  // The client could bind and believes that we can't: somebody took -PLUS out of our list. RFC 5802 §6
  if (first.flag === 'y' && offered.includes(`${names[hash]}-PLUS`))
    throw refused('the list of mechanisms was tampered with')
  const { salt, iterations, storedKey, serverKey } = await scramKeys(first.user, hash)
  const wholeNonce = first.nonce + nonce
  const challenge = `r=${wholeNonce},s=${salt.toString('base64')},i=${iterations}`
  const final = readFinal(await ask(Buffer.from(challenge)))
  const expected = Buffer.concat([Buffer.from(first.header), binding])
  if (final.nonce !== wholeNonce) throw refused('another nonce came back')
  if (!expected.equals(final.binding)) throw refused('the proof was made for another TLS connection')
  const signed = `${first.bare},${challenge},${final.withoutProof}`
  const signature = createHmac(hash, storedKey).update(signed).digest()
  if (final.proof.length !== signature.length) throw refused('the proof has the wrong length')
  const clientKey = Buffer.from(final.proof.map((octet, at) => octet ^ signature[at]!))
  if (!timingSafeEqual(createHash(hash).update(clientKey).digest(), storedKey)) throw refused('wrong proof')
  const verifier = createHmac(hash, serverKey).update(signed).digest('base64')
  return { user: first.user, authzid: first.authzid, last: Buffer.from(`v=${verifier}`) }
}

/** The reason is for the log. */
const refused = (reason: string) => badCredentials(new Error(`SCRAM: ${reason}`))

interface FirstMessage {
  readonly flag: 'n' | 'y' | 'p'
  /** With flag p: the name of the binding. */
  readonly binding: string | undefined
  readonly authzid: string | undefined
  /** gs2-header, as it is sent again in the final message. */
  readonly header: string
  readonly bare: string
  readonly user: string
  readonly nonce: string
}

/** client-first-message, RFC 5802 §7. An extension that has to be understood (m=) is not, and does not match. */
function readFirst(message: Buffer): FirstMessage {
  const match = /^((n|y|p)(?:=([A-Za-z0-9.-]+))?,(?:a=([^,]*))?,)(n=([^,]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?)$/su.exec(
    utf8(message),
  )
  const [, header, flag, binding, authzid, bare, user, nonce] = match ?? []
  if (match === null || (flag === 'p') !== (binding !== undefined)) throw fault('client-first-message')
  return {
    flag: flag as FirstMessage['flag'],
    binding,
    // No saslname is empty, but libgsasl sends one, and means none.
    authzid: authzid ? readSaslName(authzid) : undefined,
    header: header!,
    bare: bare!,
    user: readSaslName(user!),
    nonce: nonce!,
  }
}

/** client-final-message, RFC 5802 §7. */
function readFinal(message: Buffer) {
  const match = /^(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?),p=([A-Za-z0-9+/=]+)$/su.exec(utf8(message))
  if (match === null) throw fault('client-final-message')
  const [, withoutProof, binding, nonce, proof] = match
  const octets = (text: string) => Buffer.from(text, 'base64')
  return { withoutProof: withoutProof!, binding: octets(binding!), nonce: nonce!, proof: octets(proof!) }
}

/** The octets that the proof has to be bound to. */
function bindingOf({ flag, binding }: FirstMessage, channel: Channel | undefined, plus: boolean): Buffer {
  if (plus !== (flag === 'p'))
    throw refused(plus ? 'no channel binding, though -PLUS was chosen' : 'channel binding without -PLUS')
  if (flag !== 'p') return nothing
  const octets = binding === undefined ? undefined : channel?.binding(binding)
  if (octets === undefined) throw refused('a channel binding that this connection does not have')
  return octets
}

function utf8(message: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(message)
  } catch (cause) {
    if (cause instanceof TypeError) throw fault('UTF-8')
    throw cause
  }
}

const fault = (rule: string) => new SyntaxFault(`SCRAM: expected ${rule}`, rule)
