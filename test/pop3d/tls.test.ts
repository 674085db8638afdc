import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectTls } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { Client, password, type Served, serve, user } from './support/served.ts'

const overTls = async (served: Served, plain?: Client): Promise<Client> => {
  const ca = readFileSync(served.certFile)
  const socket = plain
    ? connectTls({ socket: plain.socket, ca, servername: 'localhost' })
    : connectTls({ port: served.port, host: '127.0.0.1', ca, servername: 'localhost' })
  await once(socket, 'secureConnect')
  return new Client(socket)
}

describe('STLS (RFC 2595 §4)', () => {
  it('protects the login; CAPA changes with it', async () => {
    const served = await serve({ tls: true, config: { login_disabled: true } })
    const plain = await Client.connect(served)
    await plain.line()
    expect(await plain.say('STLS')).toMatch(/^\+OK/)
    plain.socket.removeAllListeners('data')
    const client = await overTls(served, plain)
    const capabilities = await client.sayMany('CAPA')
    expect(capabilities).not.toContain('STLS')
    expect(capabilities).toContain('USER')
    expect(await client.say('STLS')).toMatch(/^-ERR/)
    expect(await client.say(`USER ${user}`)).toMatch(/^\+OK/)
    expect(await client.say(`PASS ${password}`)).toMatch(/^\+OK/)
    expect(await client.say('STLS')).toMatch(/^-ERR/)
    expect(await client.say('QUIT')).toMatch(/^\+OK/)
  })

  it('forgets a user who was named before it', async () => {
    const served = await serve({ tls: true })
    const plain = await Client.connect(served)
    await plain.line()
    await plain.say(`USER ${user}`)
    await plain.say('STLS')
    plain.socket.removeAllListeners('data')
    const client = await overTls(served, plain)
    expect(await client.say(`PASS ${password}`)).toBe('-ERR USER comes first')
  })

  it('is not there without a certificate', async () => {
    const client = await Client.connect(await serve())
    await client.line()
    expect(await client.sayMany('CAPA')).not.toContain('STLS')
    expect(await client.say('STLS')).toMatch(/^-ERR/)
  })

  const injected = `STLS\r\nUSER ${user}\r\nPASS ${password}\r\nSTAT\r\n`
  it('never executes what came behind it in the clear, wherever the octets are cut (H12)', async () => {
    const served = await serve({ tls: true })
    for (let cut = 1; cut < injected.length; cut++) {
      const client = await Client.connect(served)
      await client.line()
      client.send(injected.slice(0, cut))
      client.send(injected.slice(cut))
      const lines: string[] = []
      for (let line = await client.line(); line !== 'closed'; line = await client.line()) lines.push(line)
      // Closed before TLS, or behind its +OK because what came was no handshake.
      expect(lines.length).toBeLessThanOrEqual(1)
    }
    expect(served.logins).toEqual([])
  })
})

describe('POP3S (POP-01)', () => {
  it('begins with the handshake', async () => {
    const served = await serve({ tls: true, config: { enable_pop3s: true, login_disabled: true } })
    const client = await overTls(served)
    expect(await client.line()).toMatch(/^\+OK/)
    expect(await client.say(`USER ${user}`)).toMatch(/^\+OK/)
    expect(await client.say(`PASS ${password}`)).toMatch(/^\+OK/)
  })
})
