/**
 * CRAM-MD5 (RFC 2195) and DIGEST-MD5 (RFC 2831): proofs of a password that the server has in clear. Old, and kept for clients that know nothing better: RFC 6331
 * tells what is wrong with the second. Of its qualities of protection there is `auth` alone.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { hostname } from 'node:os'
import { SyntaxFault } from '../../base/errors.ts'
import { badCredentials } from '../refusals.ts'
import type { Exchange, Mechanism, Proof } from './mechanism.ts'

export const cramMd5: Mechanism = {
  name: 'CRAM-MD5',
  uses: 'clear password',
  run: (exchange) => runCramMd5(exchange),
}

export const digestMd5: Mechanism = {
  name: 'DIGEST-MD5',
  uses: 'clear password',
  run: (exchange) => runDigestMd5(exchange),
}

/** `challenge`, for tests: RFC 2195 §2 wants the form of a message id. */
export async function runCramMd5(
  { ask, initial, clearPassword }: Exchange,
  challenge = `<${randomBytes(16).toString('hex')}.${Date.now()}@${hostname()}>`,
): Promise<Proof> {
  refuseInitial(initial, 'CRAM-MD5')
  const response = await ask(Buffer.from(challenge))
  const blank = response.lastIndexOf(0x20)
  const digest = response.toString('latin1', blank + 1)
  if (blank < 1 || !/^[0-9a-f]{32}$/.test(digest))
    throw new SyntaxFault('CRAM-MD5: expected user and digest', 'message')
  const user = response.toString('utf8', 0, blank)
  const expected = createHmac('md5', await clearPassword(user))
    .update(challenge)
    .digest()
  if (!timingSafeEqual(expected, Buffer.from(digest, 'hex'))) throw badCredentials(new Error('CRAM-MD5: wrong digest'))
  return { user, authzid: undefined }
}

/** `nonce`, for tests. */
export async function runDigestMd5(
  { ask, initial, clearPassword, realm, service }: Exchange,
  nonce = randomBytes(18).toString('base64'),
): Promise<Proof> {
  // RFC 2831 §2.2: for a client that has been here before, which is not remembered.
  refuseInitial(initial, 'DIGEST-MD5')
  const challenge = `realm="${realm}",nonce="${nonce}",qop="auth",charset=utf-8,algorithm=md5-sess`
  const given = readDirectives(await ask(Buffer.from(challenge)))
  const charset = given.has('charset') ? 'utf8' : 'latin1'
  const word = (name: string) => given.get(name)?.toString('latin1') ?? ''
  const name = given.get('username')?.toString(charset)
  if (name === undefined || name === '' || !/^[0-9a-f]{32}$/.test(word('response')) || word('cnonce') === '')
    throw new SyntaxFault('DIGEST-MD5: expected username, cnonce and response', 'digest-response')
  const uri = word('digest-uri')
  if (word('nonce') !== nonce || word('nc') !== '00000001') throw refused('another nonce, or one that was used')
  if ((given.has('qop') ? word('qop') : 'auth') !== 'auth') throw refused('a protection that was not offered')
  if (!uri.toLowerCase().startsWith(`${service}/`)) throw refused('made for another service')
  const givenRealm = given.get('realm')?.toString(charset) ?? ''
  const user = name.includes('@') || givenRealm === '' ? name : `${name}@${givenRealm}`
  // RFC 2831 §2.1.2 forbids an empty one; libgsasl sends it, and means none.
  const authzid = given.get('authzid')?.length === 0 ? undefined : given.get('authzid')
  const password = await clearPassword(user)
  const secret = md5(
    Buffer.concat([
      inHash(name),
      Buffer.from(':'),
      inHash(givenRealm),
      Buffer.from(':'),
      inHash(textOf(password) ?? password),
    ]),
  )
  const tail = Buffer.from(`:${nonce}:${word('cnonce')}`, 'latin1')
  const proven = md5(Buffer.concat([secret, tail, ...(authzid === undefined ? [] : [Buffer.from(':'), authzid])]))
  const response = (method: string) => {
    const method2 = md5(Buffer.from(`${method}:${uri}`, 'latin1')).toString('hex')
    const text = `${proven.toString('hex')}:${nonce}:00000001:${word('cnonce')}:auth:${method2}`
    return md5(Buffer.from(text, 'latin1'))
  }
  if (!timingSafeEqual(response('AUTHENTICATE'), Buffer.from(word('response'), 'hex'))) throw refused('wrong response')
  return {
    user,
    authzid: authzid?.toString(charset),
    last: Buffer.from(`rspauth=${response('').toString('hex')}`),
  }
}

const md5 = (octets: Buffer) => createHash('md5').update(octets).digest()

/** RFC 2831 §2.1.2.1: what can be written in ISO 8859-1 is hashed so. */
const inHash = (text: string | Buffer): Buffer => {
  if (typeof text !== 'string') return text
  return Buffer.from(text, /^[\0-\xff]*$/.test(text) ? 'latin1' : 'utf8')
}

const textOf = (octets: Buffer): string | undefined => {
  const text = octets.toString('utf8')
  return Buffer.from(text).equals(octets) ? text : undefined
}

/** Both begin with the server's challenge. RFC 4422 §3.3 */
function refuseInitial(initial: Buffer | undefined, name: string): void {
  if (initial !== undefined && initial.length > 0)
    throw new SyntaxFault(`${name}: an initial response is not possible`, 'initial-response')
}

/** `name=value` with commas between, values perhaps quoted; none twice. RFC 2831 §7.1, §2.1.2 */
function readDirectives(message: Buffer): ReadonlyMap<string, Buffer> {
  const text = message.toString('latin1')
  const found = new Map<string, Buffer>()
  const directive = /[\s,]*([A-Za-z0-9-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",;()<>@\\[\]{}]+))\s*(?=,|$)/sy
  while (directive.lastIndex < text.length) {
    const match = directive.exec(text)
    const name = match?.[1]?.toLowerCase()
    if (match === null || name === undefined || found.has(name))
      throw new SyntaxFault('DIGEST-MD5: expected directives', 'digest-response')
    found.set(name, Buffer.from(match[3] ?? match[2]!.replace(/\\(.)/gs, '$1'), 'latin1'))
  }
  return found
}

/** The reason is for the log. */
const refused = (reason: string) => badCredentials(new Error(`DIGEST-MD5: ${reason}`))
