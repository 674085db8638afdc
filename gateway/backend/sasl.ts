/** The client's side of SASL mechanisms: what is said to prove who somebody is. RFC 4422 */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { saslPrep } from '#src/auth/saslprep.ts'
import { printable } from './reply-classifier.ts'

export interface Credentials {
  /** As the backend knows it. */
  readonly user: string
  /** On whose behalf, where a master user logs in. RFC 4422 §2 */
  readonly authzid?: string | undefined
  /** A password, or an OAuth access token. */
  readonly secret: Buffer
}

/** One run of a mechanism. */
export interface SaslExchange {
  readonly mechanism: string
  /** What may be sent with the command; undefined: the server speaks first. */
  readonly initial: Buffer | undefined
  /** Answers a challenge; undefined gives up. */
  respond(challenge: Buffer): Buffer | undefined | Promise<Buffer | undefined>
  /** What was found wrong with the server, or what it said when it refused. */
  readonly fault: string | undefined
  /** The server proved that it knows the password; undefined: the mechanism lets only the client prove something. */
  readonly proven?: boolean
}

/** A server that asks more often than any mechanism does keeps us busy. */
const maxChallenges = 8

/**
 * Answers the challenges of one exchange, in any protocol. `sent`: the initial response went with the command, else it is the answer
 * to the first challenge, which says nothing (RFC 4422 §5.1, item 2a).
 */
export const answersOf = (
  exchange: SaslExchange,
  sent: boolean,
): ((challenge: Buffer) => Buffer | undefined | Promise<Buffer | undefined>) => {
  let initial = sent ? undefined : exchange.initial
  let challenges = 0
  return (challenge) => {
    if (++challenges > maxChallenges) return undefined
    if (initial === undefined) return exchange.respond(challenge)
    const first = Buffer.from(initial)
    initial = undefined
    return first
  }
}

const digits = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')
const padding = 0x3d

/** RFC 4648 §4, as octets: a string of a secret stays in memory until somebody else needs the place. */
export const base64 = (octets: Buffer): Buffer => {
  const text = Buffer.alloc(Math.ceil(octets.length / 3) * 4, padding)
  for (let at = 0, to = 0; at < octets.length; at += 3, to += 4) {
    const [first, second, third] = [octets[at]!, octets[at + 1], octets[at + 2]]
    text[to] = digits[first >> 2]!
    text[to + 1] = digits[((first & 3) << 4) | ((second ?? 0) >> 4)]!
    if (second !== undefined) text[to + 2] = digits[((second & 15) << 2) | ((third ?? 0) >> 6)]!
    if (third !== undefined) text[to + 3] = digits[third & 63]!
  }
  return text
}

/** Nobody needs what the exchange would still say. */
export const forget = ({ initial }: SaslExchange): void => void initial?.fill(0)

/** More would cost a second of computing for each login: RFC 7677 §4 asks for 4,096, careful servers take 100,000. */
const maxIterations = 200_000
const derive = promisify(pbkdf2)
const nothing = Buffer.alloc(0)

/** RFC 4616 */
export function plain({ user, authzid = '', secret }: Credentials): SaslExchange {
  const initial = Buffer.concat([Buffer.from(`${authzid}\0${user}\0`), secret])
  return { mechanism: 'PLAIN', initial, fault: undefined, respond: () => undefined }
}

/** draft-murchison-sasl-login: user and password, each asked for. */
export function login({ user, secret }: Credentials): SaslExchange {
  const answers = [Buffer.from(user), Buffer.from(secret)]
  return { mechanism: 'LOGIN', initial: undefined, fault: undefined, respond: () => answers.shift() }
}

/** RFC 2195 */
export function cramMd5({ user, secret }: Credentials): SaslExchange {
  let sent = false
  return {
    mechanism: 'CRAM-MD5',
    initial: undefined,
    fault: undefined,
    respond: (challenge) => {
      if (sent) return undefined
      sent = true
      return Buffer.from(`${user} ${createHmac('md5', secret).update(challenge).digest('hex')}`)
    },
  }
}

/** RFC 5802, RFC 7677, without channel binding. The server has to prove itself too: else its OK is not believed. */
export class Scram implements SaslExchange {
  readonly mechanism: 'SCRAM-SHA-1' | 'SCRAM-SHA-256'
  readonly initial: Buffer
  fault: string | undefined
  readonly #hash: 'sha1' | 'sha256'
  readonly #secret: Buffer
  readonly #header: string
  readonly #bare: string
  readonly #nonce: string
  #serverSignature: Buffer | undefined
  proven = false

  constructor(
    hash: 'sha1' | 'sha256',
    { user, authzid, secret }: Credentials,
    nonce = randomBytes(18).toString('base64'),
  ) {
    this.#hash = hash
    this.mechanism = hash === 'sha1' ? 'SCRAM-SHA-1' : 'SCRAM-SHA-256'
    this.#secret = prepared(secret)
    this.#nonce = nonce
    this.#header = `n,${authzid === undefined ? '' : `a=${saslName(authzid)}`},`
    this.#bare = `n=${saslName(user)},r=${nonce}`
    this.initial = Buffer.from(this.#header + this.#bare)
  }

  async respond(challenge: Buffer): Promise<Buffer | undefined> {
    const text = challenge.toString('utf8')
    if (this.#serverSignature === undefined) return await this.#prove(text)
    const verifier = /^v=([A-Za-z0-9+/=]+)/.exec(text)
    const signature = Buffer.from(verifier?.[1] ?? '', 'base64')
    this.proven = signature.length === this.#serverSignature.length && timingSafeEqual(signature, this.#serverSignature)
    if (this.proven) return nothing
    this.fault = 'the server did not prove that it knows the password'
    return undefined
  }

  async #prove(serverFirst: string): Promise<Buffer | undefined> {
    const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=([0-9]{1,10})(?:,|$)/.exec(serverFirst)
    if (match === null || !match[1]!.startsWith(this.#nonce) || match[1] === this.#nonce) {
      this.fault = 'the challenge of the server makes no sense'
      return undefined
    }
    const [, nonce, salt, count] = match
    const iterations = Number(count)
    if (iterations < 1 || iterations > maxIterations) {
      this.fault = `the server asks for ${iterations} rounds of hashing, more than ${maxIterations}`
      return undefined
    }
    const length = this.#hash === 'sha1' ? 20 : 32
    const salted = await derive(this.#secret, Buffer.from(salt!, 'base64'), iterations, length, this.#hash)
    this.#secret.fill(0)
    const clientKey = this.#hmac(salted, 'Client Key')
    const storedKey = createHash(this.#hash).update(clientKey).digest()
    const withoutProof = `c=${Buffer.from(this.#header).toString('base64')},r=${nonce}`
    const signed = `${this.#bare},${serverFirst},${withoutProof}`
    const signature = this.#hmac(storedKey, signed)
    const proof = Buffer.from(clientKey.map((octet, at) => octet ^ signature[at]!))
    this.#serverSignature = this.#hmac(this.#hmac(salted, 'Server Key'), signed)
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`)
  }

  #hmac(key: Buffer, text: string): Buffer {
    return createHmac(this.#hash, key).update(text).digest()
  }
}

/** A copy. Plain ASCII stays what it is; a password that SASLprep forbids is taken as it was stored, octet by octet. */
const prepared = (secret: Buffer): Buffer =>
  secret.every((octet) => octet >= 0x20 && octet < 0x7f)
    ? Buffer.from(secret)
    : (saslPrep(secret) ?? Buffer.from(secret))

/** RFC 5802 §5.1: comma and equals sign are escaped. */
const saslName = (name: string): string => name.replaceAll('=', '=3D').replaceAll(',', '=2C')

/** RFC 7628; the form without a header is Google's and Microsoft's own (XOAUTH2). */
export class Bearer implements SaslExchange {
  readonly mechanism: 'OAUTHBEARER' | 'XOAUTH2'
  readonly initial: Buffer
  fault: string | undefined

  constructor(mechanism: 'OAUTHBEARER' | 'XOAUTH2', { user, authzid, secret }: Credentials) {
    this.mechanism = mechanism
    const name = authzid ?? user
    const head = mechanism === 'XOAUTH2' ? `user=${name}` : `n,a=${saslName(name)},`
    this.initial = Buffer.concat([Buffer.from(`${head}\x01auth=Bearer `), secret, Buffer.from('\x01\x01')])
  }

  /** The server says why it refuses, and wants an answer before it ends the exchange. RFC 7628 §3.2.3 */
  respond(challenge: Buffer): Buffer {
    this.fault = printable(challenge.toString('latin1'))
    return this.mechanism === 'XOAUTH2' ? nothing : Buffer.from('\x01')
  }
}
