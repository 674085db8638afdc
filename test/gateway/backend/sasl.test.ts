import { describe, expect, it } from 'vitest'
import { answersOf, Bearer, base64, type Credentials, cramMd5, login, plain, Scram } from '#gateway/backend/sasl.ts'

const as = (user: string, secret: string, authzid?: string): Credentials => ({
  user,
  secret: Buffer.from(secret),
  ...(authzid === undefined ? {} : { authzid }),
})

describe('the examples of the RFCs', () => {
  it('PLAIN (RFC 4616 §4)', () => {
    expect(plain(as('tim', 'tanstaaftanstaaf')).initial).toEqual(Buffer.from('\0tim\0tanstaaftanstaaf'))
    expect(plain(as('Kurt', 'xipj3plmq', 'Ursel')).initial).toEqual(Buffer.from('Ursel\0Kurt\0xipj3plmq'))
  })

  it('CRAM-MD5 (RFC 2195 §2)', async () => {
    const answer = await cramMd5(as('tim', 'tanstaaftanstaaf')).respond(
      Buffer.from('<1896.697170952@postoffice.reston.mci.net>'),
    )
    expect(answer?.toString()).toBe('tim b913a602c7eda7a495b4e6e7334d3890')
  })

  it('SCRAM-SHA-1 (RFC 5802 §5)', async () => {
    const scram = new Scram('sha1', as('user', 'pencil'), 'fyko+d2lbbFgONRv9qkxdawL')
    expect(scram.initial.toString()).toBe('n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL')
    const answer = await scram.respond(
      Buffer.from('r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096'),
    )
    expect(answer?.toString()).toBe(
      'c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=',
    )
    expect(scram.proven).toBe(false)
    expect(await scram.respond(Buffer.from('v=rmF9pqV8S7suAoZWja4dJRkFsKQ='))).toEqual(Buffer.alloc(0))
    expect(scram.proven).toBe(true)
  })

  it('SCRAM-SHA-256 (RFC 7677 §3)', async () => {
    const scram = new Scram('sha256', as('user', 'pencil'), 'rOprNGfwEbeRWgbNEkqO')
    const answer = await scram.respond(
      Buffer.from('r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'),
    )
    expect(answer?.toString()).toBe(
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    )
    await scram.respond(Buffer.from('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='))
    expect(scram.proven).toBe(true)
  })

  it('OAUTHBEARER and the form without a header (RFC 7628 §4.1)', () => {
    expect(new Bearer('OAUTHBEARER', as('user@example.com', 'vF9dft4qmT')).initial.toString()).toBe(
      'n,a=user@example.com,\x01auth=Bearer vF9dft4qmT\x01\x01',
    )
    expect(new Bearer('XOAUTH2', as('user@example.com', 'vF9dft4qmT')).initial.toString()).toBe(
      'user=user@example.com\x01auth=Bearer vF9dft4qmT\x01\x01',
    )
  })
})

describe('servers that are not what they should be', () => {
  const first = 'r=abcdef,s=QSXCR+Q6sek8bf92,i=4096'
  const scram = (nonce = 'abc') => new Scram('sha1', as('user', 'pencil'), nonce)

  it.each([
    [
      'has not the nonce of the client',
      'r=xyzdef,s=QSXCR+Q6sek8bf92,i=4096',
      'the challenge of the server makes no sense',
    ],
    ['adds nothing to it', 'r=abc,s=QSXCR+Q6sek8bf92,i=4096', 'the challenge of the server makes no sense'],
    [
      'asks for a minute of hashing',
      'r=abcdef,s=QSXCR+Q6sek8bf92,i=100000000',
      'the server asks for 100000000 rounds of hashing',
    ],
    [
      'has an extension that has to be understood',
      'm=ext,r=abcdef,s=QSXCR+Q6sek8bf92,i=4096',
      'the challenge of the server makes no sense',
    ],
    ['says nothing', '', 'the challenge of the server makes no sense'],
  ])('a SCRAM challenge that %s gets no proof', async (_, challenge, fault) => {
    const exchange = scram()
    expect(await exchange.respond(Buffer.from(challenge))).toBeUndefined()
    expect(exchange.fault).toContain(fault)
  })

  it.each(['v=AAAAAAAAAAAAAAAAAAAAAAAAAAA=', 'e=invalid-proof', 'v=', ''])(
    'a server that says %j does not know the password',
    async (final) => {
      const exchange = scram()
      await exchange.respond(Buffer.from(first))
      expect(await exchange.respond(Buffer.from(final))).toBeUndefined()
      expect(exchange.proven).toBe(false)
    },
  )

  it('user names cannot add fields', () => {
    expect(new Scram('sha1', as('a,b=c', 'x', 'd,e'), 'n').initial.toString()).toBe('n,a=d=2Ce,n=a=2Cb=3Dc,r=n')
  })

  it('the error challenge of OAUTHBEARER and XOAUTH2 is answered, and told without control characters (RFC 7628 §3.2.3)', () => {
    for (const [mechanism, answer] of [
      ['OAUTHBEARER', '\x01'],
      ['XOAUTH2', ''],
    ] as const) {
      const exchange = new Bearer(mechanism, as('u', 'token'))
      expect(exchange.respond(Buffer.from('{"status":"401"\n}')).toString()).toBe(answer)
      expect(exchange.fault).toBe('{"status":"401"\\x0a}')
    }
  })

  it('are not answered forever, nor told the password twice', async () => {
    const asks = answersOf(plain(as('u', 'secret')), true)
    expect(await asks(Buffer.from(''))).toBeUndefined()
    const late = answersOf(plain(as('u', 'secret')), false)
    expect((await late(Buffer.from('')))?.toString()).toBe('\0u\0secret')
    expect(await late(Buffer.from(''))).toBeUndefined()
    const words = answersOf(login(as('u', 'secret')), false)
    expect([await words(Buffer.from('Username:')), await words(Buffer.from('Password:'))].join()).toBe('u,secret')
    expect(await words(Buffer.from('Once more:'))).toBeUndefined()
    const bearer = answersOf(new Bearer('XOAUTH2', as('u', 'token')), true)
    for (let asked = 0; asked < 8; asked++) expect(await bearer(Buffer.from('{}'))).toBeDefined()
    expect(await bearer(Buffer.from('{}'))).toBeUndefined()
  })
})

it('base64 is that of everybody else', () => {
  for (let length = 0; length < 70; length++) {
    const octets = Buffer.from(Array.from({ length }, (_, at) => (at * 151 + length * 37) & 255))
    expect(base64(octets).toString()).toBe(octets.toString('base64'))
  }
})
