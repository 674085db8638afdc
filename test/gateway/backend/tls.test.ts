/** What a backend, or somebody on the way, can do to a connection that has to be protected: no credential is ever sent over it. */
import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { createSecureContext, type SecureContextOptions, TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Protection } from '#gateway/backend/choose-login.ts'
import { BackendError } from '#gateway/backend/errors.ts'
import { openImap } from '#gateway/backend/imap/open.ts'
import { openMaildrop } from '#gateway/backend/pop3/open.ts'
import { BackendProfile } from '#gateway/backend/profile.ts'
import type { ProtectionRequest } from '#gateway/backend/protection.ts'
import { type Log, silentLog } from '#src/base/log.ts'
import { type Certificates, certificates } from '../../server/support/certificates.ts'
import { quick } from './maildrop.ts'

type Protocol = 'pop3' | 'imap'
const secret = 'canary-4711'

interface Double {
  readonly protocol: Protocol
  readonly tls?: SecureContextOptions
  readonly implicit?: boolean
  /** Default: it is offered. */
  readonly offers?: boolean
  /** To STLS or STARTTLS; default: yes. */
  readonly answer?: string
  /** In clear behind that answer. */
  readonly injected?: string
  /** Octets of the answer, and of what is behind it, that come in a packet of their own. */
  readonly cut?: number
  readonly greeting?: string
}

/** A server that lets everybody in; `said` is everything that it was told, before and behind TLS. */
const double = async (options: Double) => {
  const { protocol, tls, implicit = false, offers = true, answer, injected = '', cut, greeting } = options
  const said: string[] = []
  const sockets = new Set<Socket>()
  const secure = (raw: Socket) => {
    const socket = new TLSSocket(raw, { isServer: true, secureContext: createSecureContext(tls) })
    talk(socket)
    return socket
  }
  const talk = (socket: Socket) => {
    let input = ''
    socket.on('error', () => {})
    socket.on('data', function onData(chunk: Buffer) {
      input += chunk.toString('latin1')
      for (let end = input.indexOf('\r\n'); end >= 0; end = input.indexOf('\r\n')) {
        const line = input.slice(0, end)
        input = input.slice(end + 2)
        said.push(line)
        const word = protocol === 'pop3' ? line.split(' ')[0]! : (line.split(' ')[1] ?? '')
        if (word === 'STLS' || word === 'STARTTLS') {
          const yes = protocol === 'pop3' ? '+OK' : `${line.split(' ')[0]} OK`
          const text = `${answer?.replace('TAG', line.split(' ')[0]!) ?? yes}\r\n${injected}`
          socket.write(text.slice(0, cut))
          if (answer !== undefined) continue
          socket.off('data', onData)
          const goOn = () => {
            if (cut !== undefined) socket.write(text.slice(cut))
            secure(socket)
          }
          if (cut === undefined) goOn()
          else setImmediate(goOn)
          return
        }
        socket.write(reply(protocol, line, word, offers))
      }
    })
  }
  const server = createServer((raw) => {
    sockets.add(raw)
    raw.on('error', () => {})
    const socket = implicit ? secure(raw) : raw
    if (!implicit) talk(raw)
    socket.write(greeting ?? (protocol === 'pop3' ? '+OK ready\r\n' : '* OK ready\r\n'))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    said,
    /** Whatever could be the secret, in any mechanism. */
    leaked: () => said.some((line) => /PASS|LOGIN|AUTH|APOP|USER/i.test(line.replace(/^\S+ CAPABILITY$/, ''))),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

const reply = (protocol: Protocol, line: string, word: string, offers: boolean): string => {
  if (protocol === 'pop3')
    return word === 'CAPA'
      ? `+OK\r\nUSER\r\n${offers ? 'STLS\r\n' : ''}.\r\n`
      : word === 'STAT'
        ? '+OK 0 0\r\n'
        : '+OK\r\n'
  const tag = line.split(' ')[0]
  const untagged = word === 'CAPABILITY' ? `* CAPABILITY IMAP4rev1${offers ? ' STARTTLS' : ''}\r\n` : ''
  return `${untagged}${tag} OK done\r\n`
}

let made: Certificates
let ca: string
const context = (name: string): SecureContextOptions => ({
  cert: readFileSync(made.path(`${name}.pem`)),
  key: readFileSync(made.path(`${name}.key`)),
})

beforeAll(() => {
  made = certificates()
  made.make('ca', { authority: true })
  ca = readFileSync(made.path('ca.pem'), 'utf8')
  const sign = (name: string, alternative: string, days: string, key: readonly string[]) => {
    made.openssl(
      'req',
      '-new',
      ...key,
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
      '-addext',
      `subjectAltName=${alternative}`,
    )
    made.openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-days',
      days,
      '-copy_extensions',
      'copy',
      '-out',
      `${name}.pem`,
    )
  }
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
  sign('good', 'DNS:localhost,IP:127.0.0.1', '2', curve)
  sign('expired', 'DNS:localhost,IP:127.0.0.1', '-1', curve)
  sign('other', 'DNS:mail.example.org', '2', curve)
  sign('weak', 'DNS:localhost,IP:127.0.0.1', '2', ['-newkey', 'rsa:1024'])
  made.make('unknown')
})
afterAll(() => made[Symbol.dispose]())

/** What protected the login, or the kind of the error with its text. */
const login = async (
  protocol: Protocol,
  port: number,
  changes: Partial<ProtectionRequest>,
): Promise<Protection | string> => {
  const request = {
    host: '127.0.0.1',
    port,
    implicitTls: false,
    startTls: 'required' as const,
    tlsVerify: true,
    credentials: { user: 'anna', secret: Buffer.from(secret) },
    profile: new BackendProfile(),
    log: silentLog,
    limits: quick,
    trust: { ca },
    ...changes,
  }
  try {
    if (protocol === 'pop3') {
      const session = await openMaildrop(request)
      session.close()
      return session.protection
    }
    const { connection, protection } = await openImap(request)
    connection.close()
    return protection
  } catch (error) {
    if (!(error instanceof BackendError)) throw error
    return `${error.kind}: ${error.message}`
  }
}

it.each([true, false])(
  'a session without a login (PREAUTH) proves no password (TLS from the first octet: %s)',
  async (implicit) => {
    const greeting = '* PREAUTH [CAPABILITY IMAP4rev1] welcome\r\n'
    await using backend = await double({ protocol: 'imap', tls: context('good'), implicit, greeting })
    const changes = { implicitTls: implicit, startTls: 'offered' } as const
    expect(await login('imap', backend.port, changes)).toMatch(/^permanent: .*PREAUTH/)
    expect(backend.leaked()).toBe(false)
  },
)

describe.each(['pop3', 'imap'] as const)('%s', (protocol) => {
  /** Required; and in the default policy once the host had TLS. */
  const policies: readonly [string, () => Partial<ProtectionRequest>][] = [
    ['required', () => ({ startTls: 'required' })],
    ['had before', () => ({ startTls: 'offered', profile: new BackendProfile({ protection: 'tls' }) })],
  ]
  const attacks: readonly [string, Partial<Double>][] = [
    ['is not offered', { offers: false }],
    ['is refused', { answer: protocol === 'pop3' ? '-ERR not now' : 'TAG NO not now' }],
    ['is not known', { answer: protocol === 'pop3' ? '-ERR unknown' : 'TAG BAD unknown' }],
    [
      'is answered, and something is put behind it',
      { injected: protocol === 'pop3' ? '+OK injected\r\n' : '* CAPABILITY AUTH=PLAIN\r\n' },
    ],
    ['is answered, and half a line is put behind it', { injected: '+' }],
    ['begins, and no TLS comes', { answer: protocol === 'pop3' ? '+OK\r\n+OK' : 'TAG OK\r\n* OK' }],
    ...(protocol === 'imap'
      ? [['is passed by (PREAUTH)', { greeting: '* PREAUTH welcome\r\n', offers: false }] as [string, Partial<Double>]]
      : []),
  ]
  describe.each(policies)('TLS that is %s', (_, policy) => {
    it.each(attacks)('and %s: no credential', async (_, attack) => {
      await using backend = await double({ protocol, tls: context('good'), ...attack })
      // POP3 has no untagged replies: whoever speaks unasked is left, whatever the reason.
      expect(await login(protocol, backend.port, policy())).toMatch(protocol === 'pop3' ? /^(tls|closed): / : /^tls: /)
      expect(backend.leaked()).toBe(false)
    })

    it('and is answered, with something behind it, cut at each place: nothing of it is taken, and no credential', async () => {
      const injected = protocol === 'pop3' ? '+OK injected\r\n+OK\r\n' : '* CAPABILITY AUTH=PLAIN\r\n'
      // What a tag takes is not known; whatever lies beyond the end is one packet, as above.
      for (let cut = 1; cut < `+OK\r\n${injected}`.length + 4; cut++) {
        await using backend = await double({ protocol, tls: context('good'), injected, cut })
        expect(await login(protocol, backend.port, policy()), `cut at ${cut}`).toMatch(/^(tls|closed): /)
        expect(backend.leaked(), `cut at ${cut}`).toBe(false)
      }
    })

    it.each([
      ['expired', /expired/],
      ['other', /altnames/],
      ['unknown', /self-signed|self signed/],
    ])('and has the certificate %s: no credential', async (name, why) => {
      await using backend = await double({ protocol, tls: context(name) })
      const result = await login(protocol, backend.port, policy())
      expect(result).toMatch(/^tls: the certificate of /)
      expect(result).toMatch(why)
      expect(backend.leaked()).toBe(false)
    })
  })

  it.each(['expired', 'other', 'unknown'])(
    'TLS from the first octet with the certificate %s: no credential',
    async (name) => {
      await using backend = await double({ protocol, tls: context(name), implicit: true })
      expect(await login(protocol, backend.port, { implicitTls: true })).toMatch(/^tls: the certificate of /)
      expect(backend.leaked()).toBe(false)
    },
  )

  it('a certificate that verifies', async () => {
    await using behind = await double({ protocol, tls: context('good') })
    expect(await login(protocol, behind.port, {})).toBe('tls')
    await using first = await double({ protocol, tls: context('good'), implicit: true })
    expect(await login(protocol, first.port, { implicitTls: true })).toBe('tls')
  })

  it('in the default policy a certificate that proves nothing is still better than nothing, once', async () => {
    await using backend = await double({ protocol, tls: context('unknown') })
    const profile = new BackendProfile()
    expect(await login(protocol, backend.port, { startTls: 'offered', profile })).toBe('unverified')
    await using stripped = await double({ protocol, offers: false })
    expect(await login(protocol, stripped.port, { startTls: 'offered', profile })).toMatch(/^tls: /)
    expect(stripped.leaked()).toBe(false)
  })

  describe('pins', () => {
    const sha = (octets: Buffer) => createHash('sha256').update(octets).digest('hex')
    const pinsOf = (name: string) => {
      const certificate = new X509Certificate(readFileSync(made.path(`${name}.pem`)))
      return [sha(certificate.raw), sha(certificate.publicKey.export({ type: 'spki', format: 'der' }))]
    }

    it.each([true, false])(
      'take the certificate, or its key, whoever signed it (TLS from the first octet: %s)',
      async (implicit) => {
        await using backend = await double({ protocol, tls: context('unknown'), implicit })
        for (const pin of pinsOf('unknown'))
          expect(
            await login(protocol, backend.port, {
              implicitTls: implicit,
              trust: { fingerprints: ['0'.repeat(64), pin] },
            }),
          ).toBe('tls')
      },
    )

    it.each([true, false])(
      'refuse every other, also one that verifies, and tell what it is (TLS from the first octet: %s)',
      async (implicit) => {
        await using backend = await double({ protocol, tls: context('good'), implicit })
        const trust = { ca, fingerprints: pinsOf('unknown') }
        const [certificate, key] = pinsOf('good')
        expect(await login(protocol, backend.port, { implicitTls: implicit, trust })).toMatch(
          new RegExp(
            `^tls: .* is not the one of tls_fingerprint: its SHA-256 is ${certificate}, that of its public key ${key}`,
          ),
        )
        expect(backend.leaked()).toBe(false)
      },
    )
  })

  describe('the exception for old TLS', () => {
    const old = (): SecureContextOptions => ({
      ...context('good'),
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT:@SECLEVEL=0',
    })
    const weak = (): SecureContextOptions => ({ ...context('weak'), ciphers: 'DEFAULT:@SECLEVEL=0' })

    it.each([
      ['TLS 1.1', old, 'TLSv1.1'],
      ['a key of 1024 bits', weak, 'a key of 1024 bits'],
    ])('is needed for %s, and told once', async (_, tls, weakness) => {
      await using backend = await double({ protocol, tls: tls() })
      expect(await login(protocol, backend.port, {})).toMatch(/^tls: /)
      expect(backend.leaked()).toBe(false)
      const records: unknown[] = []
      const log: Log = { ...silentLog, log: (...record) => void records.push(record) }
      const changes = { trust: { ca, legacy: true }, profile: new BackendProfile(), log }
      for (let session = 0; session < 2; session++) expect(await login(protocol, backend.port, changes)).toBe('tls')
      expect(records).toEqual([
        ['warning', 'the backend is protected only by what tls_legacy lets pass', { host: '127.0.0.1', weakness }],
      ])
    })

    it('is no exception for certificates', async () => {
      await using backend = await double({ protocol, tls: context('unknown') })
      expect(await login(protocol, backend.port, { trust: { ca, legacy: true } })).toMatch(/^tls: the certificate of /)
    })
  })
})
