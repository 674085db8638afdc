/** H12, DEP-04 (on the client side): whatever comes behind STARTTLS before TLS is there is never executed, wherever the packets are cut. RFC 9051 §11.1 */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningImapd, startImapd } from './support.ts'
import { Peer } from './transcript.ts'

const user = 'anna@example.org'
let imapd: RunningImapd
let directory: string
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'imapd-tls-'))
  const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=localhost']
  execFileSync('openssl', ['req', '-x509', '-days', '2', ...kind, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  imapd = await startImapd([user], { tls_cert_file: cert, tls_key_file: key })
})
afterAll(async () => {
  await imapd.stop()
  rmSync(directory, { recursive: true })
})

/** Everything that the server says until it closes. */
async function say(pieces: readonly string[]): Promise<string> {
  const socket = connect({ port: imapd.port, host: imapd.host, noDelay: true })
  socket.setEncoding('latin1')
  let heard = ''
  socket.on('data', (text: string) => {
    heard += text
  })
  socket.on('error', () => {})
  await once(socket, 'data')
  for (const piece of pieces) {
    await new Promise((resolve) => socket.write(piece, resolve))
    await setImmediate()
  }
  await once(socket, 'close')
  return heard
}

describe('STARTTLS', () => {
  const injected = `a STARTTLS\r\nb LOGIN ${user} secret\r\nc LIST "" *\r\n`
  it(`with commands behind it, cut at each of ${injected.length} places`, async () => {
    for (let cut = 1; cut < injected.length; cut++) {
      const heard = await say([injected.slice(0, cut), injected.slice(cut)])
      expect(heard, `cut at ${cut}`).toMatch(/^\* OK [^\r]*\r\na (OK|BAD) [^\r]*\r\n/)
      expect(heard, `cut at ${cut}`).not.toMatch(/^(b|c|\* LIST)/m)
    }
    expect(imapd.records.filter(({ message }) => message === 'login')).toEqual([])
  })

  it('with a command half in front of it', async () => {
    const heard = await say(['a STARTTLS\r\nb', ` LOGIN ${user} secret\r\n`])
    expect(heard).not.toMatch(/^b /m)
  })

  it('comes before compression: RFC 4978 §3', async () => {
    const plain = await Peer.open(imapd)
    await plain.line()
    expect((await plain.command('a', 'STARTTLS')).at(-1)).toMatch(/^a OK/)
    const secure = await plain.startTls()
    await secure.command('b', `LOGIN ${user} secret`)
    expect(await secure.command('c', 'COMPRESS DEFLATE')).toEqual(['c OK DEFLATE active'])
    const peer = secure.compress()
    expect(await peer.command('d', 'STARTTLS')).toEqual(['d BAD Logged in already'])
    expect((await peer.command('e', 'LIST "" *'))[0]).toMatch(/^\* LIST /)
    peer.destroy()
  })
})
