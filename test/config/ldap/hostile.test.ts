import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { connectTo } from '#src/config/ldap/connection.ts'
import { type DirectoryBind, parseServer } from '#src/config/ldap/connection-settings.ts'
import { loadConfig } from '#src/config/ms-conf.ts'
import { type Slapd, service, startSlapd } from '../../support/slapd.ts'
import { appendixC, confFile, leadTo } from './support.ts'

let slapd: Slapd
beforeAll(async () => {
  slapd = await startSlapd({ entries: appendixC, tls: true })
})
afterAll(() => slapd.stop())

/** Answers the port of a server that treats each connection so. */
const serving = async (treat: (socket: Socket) => void): Promise<number> => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    treat(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as { port: number }).port
}
const tls = {
  start: false,
  verify: false,
  verifyStarted: false,
  ciphers: 'DEFAULT',
  caFile: undefined,
  certFile: undefined,
  keyFile: undefined,
  keyPassword: '',
}
const digest: DirectoryBind = { method: 'DIGEST-MD5', id: 'wherry', password: service.password }
const simple: DirectoryBind = { method: 'SIMPLE', dn: service.dn, password: service.password }
const connectAt = async (port: number, bind: DirectoryBind, start = false) => {
  const server = parseServer('ldapdb_uri', `ldap://127.0.0.1:${port}`)
  const connection = await connectTo(server, { tls: { ...tls, start }, bind, timeoutMs: 1000 }, 'as-wherry')
  connection.close()
}

/** An LDAPMessage (RFC 4511 §4.1.1) of less than 128 octets with one operation. */
const message = (id: number, tag: number, ...content: readonly number[]) =>
  Buffer.from([0x30, content.length + 5, 0x02, 0x01, id, tag, content.length, ...content])
const success = [0x0a, 1, 0, 0x04, 0, 0x04, 0]
const startTlsDone = message(1, 0x78, ...success)
/** saslBindInProgress with serverSaslCreds. */
const challenge = (id: number, text: string) =>
  message(id, 0x61, 0x0a, 1, 14, 0x04, 0, 0x04, 0, 0x87, text.length, ...Buffer.from(text))

describe('a server that is not what it should be', () => {
  it.each([
    [
      'octets behind the answer, before TLS',
      [Buffer.concat([startTlsDone, message(2, 0x61, ...success)])],
      'more than one answer',
    ],
    ['half of an octet behind it', [Buffer.concat([startTlsDone, Buffer.from([0x30])])], 'more than one answer'],
    ['a refusal', [message(1, 0x78, 0x0a, 1, 52, 0x04, 0, 0x04, 0)], ''],
    ['an endless answer', [Buffer.from([0x30, 0x84, 0x7f, 0xff, 0xff, 0xff])], 'not LDAP, or too long'],
    ['an answer of indefinite length', [Buffer.from('\x30\x80aaaaaaaaaa', 'latin1')], 'not LDAP, or too long'],
    ['another protocol', [Buffer.from('220 smtp.example.net ESMTP\r\n')], ''],
    ['half an answer', [startTlsDone.subarray(0, 6)], 'no answer within the time limit'],
    ['an end', [], 'closed the connection'],
  ])('STARTTLS: %s: nothing is sent in clear', async (_, answers, reason) => {
    let received = ''
    const port = await serving((socket) => {
      socket.on('data', (octets) => {
        received += octets.toString('latin1')
      })
      socket.once('data', () => {
        for (const answer of answers) socket.write(answer)
        if (answers.length === 0) socket.end()
      })
    })
    await expect(connectAt(port, simple, true)).rejects.toThrow(reason)
    expect(received.includes(service.password)).toBe(false)
  })

  it.each([
    ['lets pass without a proof', () => [message(1, 0x61, ...success)], 'without a proof'],
    ['does not prove itself', (nonce: string) => [challenge(1, nonce), message(2, 0x61, ...success)], 'did not prove'],
    ['proves something else', (nonce: string) => [challenge(1, nonce), challenge(2, 'rspauth=00')], 'did not prove'],
    [
      'asks for what is not there',
      () => [challenge(1, 'nonce="n",algorithm=md5-sess,qop="auth-conf"')],
      'makes no sense',
    ],
    ['says nothing that could be understood', () => [challenge(1, '"""')], 'makes no sense'],
    ['answers another question', () => [message(9, 0x61, ...success)], 'something else'],
    ['answers with another operation', () => [message(1, 0x78, ...success)], 'something else'],
  ])('DIGEST-MD5: one that %s is not believed', async (_, script, reason) => {
    const answers = script('nonce="n",algorithm=md5-sess,qop="auth"')
    const port = await serving((socket) => socket.on('data', () => socket.write(answers.shift() ?? Buffer.alloc(0))))
    await expect(connectAt(port, digest)).rejects.toThrow(reason)
  })

  it('with real slapd the same goes', async () => {
    const port = Number(new URL(slapd.url).port)
    await connectAt(port, digest)
    await connectAt(port, digest, true)
    await connectAt(port, simple, true)
  })
})

it.each([0, 1, 2, 3])(
  'LDAP-06 LDAP-07: a server that hangs behind answer %i is given up within its time limit, and the next one is asked',
  async (answered) => {
    const target = Number(new URL(slapd.url).port)
    const port = await serving((socket) => {
      const there = connect(target, '127.0.0.1')
      there.on('error', () => undefined)
      socket.on('close', () => there.destroy())
      socket.pipe(there)
      let left = answered
      there.on('data', (octets) => left-- > 0 && socket.write(octets))
    })
    const text = leadTo(`ldap://127.0.0.1:${port} ${slapd.url}`, '<sasl><ldapdb_timeout>1</ldapdb_timeout></sasl>')
    const { file } = await confFile(text)
    const begin = performance.now()
    expect((await loadConfig(file)).config.get('ms_user')).toBe('pp')
    expect(performance.now() - begin).toBeGreaterThan(900)
  },
)
