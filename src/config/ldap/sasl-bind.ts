/**
 * Binds by SASL mechanisms of several steps, in which the server asks: DIGEST-MD5 (RFC 2831), the manual's default, and CRAM-MD5 (RFC 2195). Both are old; over
 * TLS, SIMPLE and PLAIN are better. LDAP-10
 */
import { createHash, createHmac, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { type BerWriter, BindRequest, BindResponse, ProtocolOperation, StatusCodeParser } from 'ldapts'
import { roundTrip } from './round-trip.ts'

const inProgress = 14
type Answer = (challenge: string) => string

export interface SaslBind {
  readonly method: 'DIGEST-MD5' | 'CRAM-MD5'
  readonly id: string
  readonly password: string
}

/** `host`: of the server, for the digest. Rejects with ResultCodeError when the server refuses, with Error for what makes no sense. */
export const bindInSteps = async (
  socket: Socket,
  { method, id, password }: SaslBind,
  host: string,
  signal: AbortSignal,
): Promise<void> => {
  const ask = async (messageId: number, credentials?: string) => {
    const request = new SaslRequest(messageId, method, credentials)
    const response = await roundTrip(socket, request, signal)
    if (!(response instanceof BindResponse) || response.messageId !== messageId)
      throw new Error('the server answered something else')
    if (response.status !== 0 && response.status !== inProgress) throw StatusCodeParser.parse(response)
    return { done: response.status === 0, challenge: response.data.at(-1) ?? '' }
  }
  const exchange = method === 'CRAM-MD5' ? cramMd5(id, password) : digestMd5(id, password, host)
  let { done, challenge } = await ask(1)
  if (done) throw new Error(`the server let ${method} pass without a proof`)
  ;({ done, challenge } = await ask(2, exchange.answer(challenge)))
  if (!exchange.isProven(challenge)) throw new Error('the server did not prove that it knows the password')
  // The last step has nothing to say: RFC 2831 §2.1.3.
  if (!done) ({ done } = await ask(3))
  if (!done) throw new Error(`the server asks more than ${method} has`)
}

/** Unlike one with empty credentials, one without any asks the server to begin. RFC 4511 §4.2 */
class SaslRequest extends BindRequest {
  readonly #credentials: string | undefined

  constructor(messageId: number, mechanism: string, credentials: string | undefined) {
    super({ messageId, mechanism })
    this.#credentials = credentials
  }

  override writeMessage(writer: BerWriter): void {
    writer.writeInt(this.version)
    writer.writeString('')
    writer.startSequence(ProtocolOperation.LDAP_REQ_BIND_SASL)
    writer.writeString(this.mechanism ?? '')
    if (this.#credentials !== undefined) writer.writeString(this.#credentials)
    writer.endSequence()
  }
}

interface Steps {
  readonly answer: Answer
  /** Of what the server says to the answer. */
  readonly isProven: (reply: string) => boolean
}

const cramMd5 = (id: string, password: string): Steps => ({
  answer: (challenge) => `${id} ${createHmac('md5', password).update(challenge).digest('hex')}`,
  isProven: () => true,
})

/** `cnonce`, for tests. */
export const digestMd5 = (
  id: string,
  password: string,
  host: string,
  cnonce = randomBytes(18).toString('base64'),
): Steps => {
  let expected = ''
  return {
    answer: (challenge) => {
      const given = directivesOf(challenge)
      const nonce = given.get('nonce')?.[0]
      const qop = (given.get('qop')?.[0] ?? 'auth').split(/[\s,]+/)
      if (nonce === undefined || given.get('algorithm')?.[0] !== 'md5-sess' || !qop.includes('auth'))
        throw new Error('the challenge of the server makes no sense')
      // A realm of the list belongs to the name; the first is the server's own.
      const realm = given.get('realm')?.[0] ?? ''
      const uri = `ldap/${host}`
      const isUtf8 = given.get('charset')?.[0] === 'utf-8'
      const secret = md5(Buffer.concat([inHash(id), colon, inHash(realm), colon, inHash(password)]))
      const proven = md5(Buffer.concat([secret, Buffer.from(`:${nonce}:${cnonce}`)])).toString('hex')
      const response = (start: string) =>
        md5(`${proven}:${nonce}:00000001:${cnonce}:auth:${md5(`${start}:${uri}`).toString('hex')}`).toString('hex')
      expected = `rspauth=${response('')}`
      return [
        ...(isUtf8 ? ['charset=utf-8'] : []),
        `username=${quoted(id)}`,
        ...(realm === '' ? [] : [`realm=${quoted(realm)}`]),
        `nonce=${quoted(nonce)}`,
        `cnonce=${quoted(cnonce)}`,
        'nc=00000001',
        'qop=auth',
        `digest-uri=${quoted(uri)}`,
        `response=${response('AUTHENTICATE')}`,
      ].join(',')
    },
    isProven: (reply) => reply === expected,
  }
}

const colon = Buffer.from(':')
const md5 = (octets: Buffer | string) => createHash('md5').update(octets).digest()
const quoted = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`
/** RFC 2831 §2.1.2.1: what can be written in ISO 8859-1 is hashed so. */
const inHash = (text: string) => Buffer.from(text, /^[\0-\xff]*$/.test(text) ? 'latin1' : 'utf8')

/** RFC 2831 §7.1; the realm may come several times. */
const directivesOf = (challenge: string): ReadonlyMap<string, readonly string[]> => {
  const found = new Map<string, string[]>()
  const directive = /[\s,]*([A-Za-z0-9-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))\s*(?=,|$)/sy
  while (directive.lastIndex < challenge.length) {
    const match = directive.exec(challenge)
    if (match === null) throw new Error('the challenge of the server makes no sense')
    const name = match[1]!.toLowerCase()
    const value = match[3] ?? match[2]!.replace(/\\(.)/gs, '$1')
    found.set(name, [...(found.get(name) ?? []), value])
  }
  return found
}
