/** Logins at POP3 servers that a real one can not be made to be. */
import { describe, expect, it } from 'vitest'
import type { LoginMethod } from '#src/config/backend-record.ts'
import { type ScriptedOptions, type ScriptedPop3, scriptedPop3 } from '#test/support/pop3-script.ts'
import { open } from './maildrop.ts'

/** A server that plays the other side of AUTH from a list of answers. */
const asking = async (capability: string, answers: readonly string[], more: ScriptedOptions = {}) => {
  const backend = await scriptedPop3({ capabilities: [capability, 'UIDL'], ...more })
  const left = [...answers]
  // Answers to challenges are lines of one word.
  backend.any(() => left.shift() ?? '-ERR out of step\r\n')
  return backend
}

const attempt = async (backend: ScriptedPop3, method: LoginMethod, user = 'anna', secret = 'pw') =>
  open(backend.port, { credentials: { user, secret: Buffer.from(secret) }, method }).then(
    () => 'in',
    (error: { kind: string }) => error.kind,
  )

const sent = (backend: ScriptedPop3) =>
  backend.received.map((line) => line.replace(/^\d+ /, '')).filter((line) => !/^(CAPA|STAT|UIDL)$/.test(line))

describe('the line of AUTH (RFC 5034 §4)', () => {
  it('carries the initial response while it has at most 255 octets with its end', async () => {
    // AUTH PLAIN and a blank are 11 octets, CRLF 2: 240 are left for base64, 180 before it.
    for (const [octets, lines] of [
      [180, 1],
      [181, 2],
    ] as const) {
      const secret = 'x'.repeat(octets - '\0anna\0'.length)
      const answers = lines === 1 ? ['+OK\r\n'] : ['+ \r\n', '+OK\r\n']
      await using backend = await asking('SASL PLAIN', answers)
      expect(await attempt(backend, 'plain', 'anna', secret)).toBe('in')
      const said = sent(backend)
      expect(said).toHaveLength(lines)
      expect(Math.max(...said.map((line) => (line.startsWith('AUTH') ? line.length + 2 : 0)))).toBeLessThanOrEqual(255)
      expect(Buffer.from(said.at(-1)!.split(' ').at(-1)!, 'base64').toString()).toBe(`\0anna\0${secret}`)
    }
  })

  it.each(['+\r\n', '+ \r\n', '+ go ahead\r\n', '+ R28gYWhlYWQ=\r\n'])(
    'what the server says before it has heard anything does not matter: %j',
    async (challenge) => {
      await using backend = await asking('SASL PLAIN', [challenge, '+OK\r\n'])
      const secret = 'x'.repeat(250)
      expect(await attempt(backend, 'plain', 'anna', secret)).toBe('in')
    },
  )
})

describe('servers out of order', () => {
  it('a SCRAM server that lets in without proving itself is not believed', async () => {
    await using backend = await asking('SASL SCRAM-SHA-256', ['+OK welcome\r\n'])
    expect(await attempt(backend, 'scram-sha-256')).toBe('protocol')
  })

  it('a challenge without sense is answered by giving up', async () => {
    await using backend = await asking('SASL SCRAM-SHA-256', ['+ cj14LHM9eCxpPTE=\r\n', '-ERR [AUTH] no\r\n'])
    expect(await attempt(backend, 'scram-sha-256')).toBe('auth')
    expect(sent(backend).at(-1)).toBe('*')
  })

  it('one that never stops asking is left', async () => {
    await using backend = await asking('SASL CRAM-MD5', ['+ YQ==\r\n', '+ YQ==\r\n', '-ERR gave up\r\n'])
    expect(await attempt(backend, 'cram-md5')).toBe('auth')
    expect(sent(backend)).toHaveLength(3)
    expect(sent(backend).at(-1)).toBe('*')
  })

  it('a challenge to a command that takes none is no POP3', async () => {
    await using backend = await scriptedPop3()
    backend.on('USER', () => '+ YQ==\r\n')
    await expect(open(backend.port)).rejects.toMatchObject({ kind: 'protocol' })
    expect(sent(backend).some((line) => line.startsWith('PASS'))).toBe(false)
  })

  it('one that closes in the middle of an exchange', async () => {
    await using backend = await asking('SASL CRAM-MD5', ['+ YQ==\r\n'])
    backend.options.cutAfter = 60
    expect(await attempt(backend, 'cram-md5')).toBe('closed')
  })
})

describe('what is not sent', () => {
  it('a password, where the server takes none in clear', async () => {
    await using backend = await scriptedPop3({ capabilities: ['SASL GSSAPI', 'UIDL'] })
    expect(await attempt(backend, 'password')).toBe('tls')
    expect(sent(backend)).toEqual([])
  })

  it.each(['oauth', 'xoauth2', 'oauthbearer'] as const)('a token, in clear (%s)', async (method) => {
    await using backend = await scriptedPop3({ capabilities: ['SASL XOAUTH2 OAUTHBEARER', 'UIDL'] })
    expect(await attempt(backend, method)).toBe('tls')
    expect(sent(backend)).toEqual([])
  })
})

describe('APOP (RFC 1939 §7)', () => {
  const greeting = '+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\r\n'

  it('answers the example of the RFC', async () => {
    await using backend = await scriptedPop3({ greeting })
    backend.on('APOP', () => '+OK maildrop has 1 message (369 octets)\r\n')
    expect(await attempt(backend, 'apop', 'mrose', 'tanstaaf')).toBe('in')
    expect(sent(backend)).toContain('APOP mrose c4c9334bac560ecc979e58001b3e22fb')
  })

  it.each(['+OK ready\r\n', '+OK <no at sign>\r\n', '+OK <a b@c>\r\n'])(
    'needs a timestamp: %j has none',
    async (none) => {
      await using backend = await scriptedPop3({ greeting: none })
      expect(await attempt(backend, 'password')).toBe('in')
      expect(await attempt(backend, 'apop')).toBe('unsupported')
      expect(sent(backend)).toContain('PASS pw')
    },
  )
})
