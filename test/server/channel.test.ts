/** What both ends of a TLS connection know of it. RFC 9266, RFC 5929 §4 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { duplexPair } from 'node:stream'
import { connect, createServer, type SecureVersion, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { channelOf } from '#src/server/channel.ts'
import { makeCertificate } from '../support/certificate.ts'

let directory: string
let material: { cert: Buffer; key: Buffer }
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'channel-'))
  const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  makeCertificate(cert, key)
  material = { cert: readFileSync(cert), key: readFileSync(key) }
})
afterAll(() => rmSync(directory, { recursive: true }))

const ends = async (maxVersion: SecureVersion): Promise<readonly [TLSSocket, TLSSocket]> => {
  const [ours, theirs] = duplexPair()
  const server = createServer(material)
  const accepted = once(server, 'secureConnection') as Promise<[TLSSocket]>
  server.emit('connection', ours)
  const client = connect({ socket: theirs, rejectUnauthorized: false, maxVersion })
  const [[socket]] = await Promise.all([accepted, once(client, 'secureConnect')])
  return [socket, client]
}

it('TLS 1.3 has tls-exporter and tls-server-end-point', async () => {
  const [ours, theirs] = await ends('TLSv1.3')
  const channel = channelOf({ socket: ours, client: undefined })
  expect(channel.ssf).toBe(256)
  expect(channel.binds).toBe(true)
  const exported = theirs.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
  expect(channel.binding('tls-exporter')).toEqual(exported)
  // The certificate is signed with ECDSA and SHA-256.
  const shown = createHash('sha256').update(theirs.getPeerCertificate().raw).digest()
  expect(channel.binding('tls-server-end-point')).toEqual(shown)
  expect(channel.binding('tls-unique')).toBeUndefined()
  const [other] = await ends('TLSv1.3')
  expect(channelOf({ socket: other, client: undefined }).binding('tls-exporter')).not.toEqual(exported)
})

it('TLS 1.2 has none', async () => {
  const [ours] = await ends('TLSv1.2')
  const channel = channelOf({ socket: ours, client: undefined })
  expect([channel.binds, channel.binding('tls-exporter'), channel.binding('tls-server-end-point')]).toEqual([
    false,
    undefined,
    undefined,
  ])
})
