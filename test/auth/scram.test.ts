/** The server's side of SCRAM, message by message. RFC 5802, RFC 7677 */
import { describe, expect, it } from 'vitest'
import { Scram } from '#gateway/backend/sasl.ts'
import type { Channel, Exchange } from '#src/auth/sasl/mechanism.ts'
import { run } from '#src/auth/sasl/scram.ts'
import { type ScramHash, scramKeys } from '#src/auth/verifier.ts'
import { AuthError, SyntaxFault } from '#src/base/errors.ts'

const keys = (hash: ScramHash, salt = 'QSXCR+Q6sek8bf92') =>
  scramKeys(hash, Buffer.from('pencil'), Buffer.from(salt, 'base64'), 4096)

interface Play {
  readonly hash?: ScramHash
  readonly plus?: boolean
  readonly channel?: Channel
  readonly offered?: readonly string[]
  readonly salt?: string
  /** Server's part. */
  readonly nonce?: string
}

/** Runs the exchange; `answer` is the client's response to the challenge. */
const play = async (
  first: string | Buffer,
  answer: (challenge: Buffer) => string | Buffer | Promise<string | Buffer>,
  { hash = 'sha1', plus = false, channel, offered = [], salt, nonce }: Play = {},
) => {
  const users: string[] = []
  const exchange: Exchange = {
    initial: Buffer.from(first),
    ask: async (challenge) => Buffer.from(await answer(challenge)),
    channel,
    offered,
    scramKeys: async (user) => {
      users.push(user)
      return keys(hash, salt)
    },
    clearPassword: () => Promise.reject(new Error('no passwords')),
    realm: 'a.example',
    service: 'imap',
    tokenUser: () => Promise.reject(new Error('no tokens')),
  }
  const proof = await run(exchange, hash, plus, nonce)
  return { ...proof, last: proof.last?.toString(), users }
}

const reason = async (play: Promise<unknown>): Promise<string> => {
  try {
    await play
  } catch (error) {
    if (error instanceof SyntaxFault) return 'syntax'
    if (error instanceof AuthError && error.kind === 'bad-credentials') return (error.cause as Error).message
    throw error
  }
  return 'in'
}

describe('SCRAM', () => {
  it('RFC 5802 §5: the example of SCRAM-SHA-1', async () => {
    const challenges: string[] = []
    const proof = await play(
      'n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL',
      (challenge) => {
        challenges.push(challenge.toString())
        return 'c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts='
      },
      { nonce: '3rfcNHYJY1ZVvWVs7j' },
    )
    expect(challenges).toEqual(['r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096'])
    expect(proof).toEqual({
      user: 'user',
      users: ['user'],
      authzid: undefined,
      last: 'v=rmF9pqV8S7suAoZWja4dJRkFsKQ=',
    })
  })

  it('RFC 7677 §3: the example of SCRAM-SHA-256', async () => {
    const nonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
    const proof = await play(
      'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
      () => `c=biws,r=${nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`,
      { hash: 'sha256', salt: 'W22ZaJ0SNY7soEsUEjb6gQ==', nonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0' },
    )
    expect(proof.last).toBe('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')
  })

  const client = (user: string, secret: string, authzid?: string) =>
    new Scram('sha1', { user, secret: Buffer.from(secret), authzid })
  const respond = (scram: Scram) => async (challenge: Buffer) => (await scram.respond(challenge)) ?? ''

  it('reads commas and equals signs in names, and an authzid', async () => {
    const scram = client('a=b,c', 'pencil', 'x,y')
    const { user, authzid, last } = await play(scram.initial, respond(scram))
    expect([user, authzid]).toEqual(['a=b,c', 'x,y'])
    await scram.respond(Buffer.from(last!))
    expect(scram.proven).toBe(true)
  })

  it('refuses a wrong proof, another nonce and a changed header', async () => {
    const wrong = client('user', 'pencils')
    expect(await reason(play(wrong.initial, respond(wrong)))).toBe('SCRAM: wrong proof')
    const replayed = 'c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts='
    expect(await reason(play('n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL', () => replayed))).toBe(
      'SCRAM: another nonce came back',
    )
    const good = client('user', 'pencil')
    const changed = async (challenge: Buffer) => (await respond(good)(challenge)).toString().replace('c=biws', 'c=eSws')
    expect(await reason(play(good.initial, changed))).toBe('SCRAM: the proof was made for another TLS connection')
  })

  it.each([
    '',
    'n,,n=,r=abc',
    'n,,n=user',
    'n,n=user,r=abc',
    'x,,n=user,r=abc',
    'p,,n=user,r=abc',
    'n=tls-exporter,,n=user,r=abc',
    'n,,m=must,n=user,r=abc',
    'n,,n=us=er,r=abc',
    'n,,n=us\0er,r=abc',
    'n,,n=user,r=a b',
    Buffer.from('n,,n=us\xffer,r=abc', 'latin1'),
  ])('H13 does not read the first message %j', async (first) => {
    expect(await reason(play(first, () => 'never asked'))).toBe('syntax')
  })

  it.each(['', 'c=biws', 'c=biws,r=abc', 'r=abc,c=biws,p=AAAA', 'c=biws,r=abc,p=', 'c=biws,r=abc,p=AA,AA'])(
    'H13 does not read the final message %j',
    async (final) => {
      expect(await reason(play('n,,n=user,r=abc', () => final))).toBe('syntax')
    },
  )
})

describe('channel binding', () => {
  const octets = Buffer.from('what is in this connection alone')
  const channel: Channel = {
    ssf: 256,
    binds: true,
    binding: (type) => (type === 'tls-exporter' ? octets : undefined),
    clientNames: [],
  }

  it('RFC 5802 §6: a client that could bind, and was kept from seeing that we can, is refused', async () => {
    const offered = ['SCRAM-SHA-1-PLUS', 'SCRAM-SHA-1']
    expect(await reason(play('y,,n=user,r=abc', () => '', { offered, channel }))).toContain('tampered')
    // Where -PLUS was not offered the client is right.
    expect(await reason(play('y,,n=user,r=abc', () => '', { channel }))).toBe('syntax')
  })

  it('has to be what the mechanism says, and what the connection has', async () => {
    const says = (first: string, plus: boolean) => reason(play(first, () => '', { channel, plus }))
    expect(await says('p=tls-exporter,,n=user,r=abc', false)).toContain('without -PLUS')
    expect(await says('n,,n=user,r=abc', true)).toContain('no channel binding')
    expect(await says('p=tls-unique,,n=user,r=abc', true)).toContain('does not have')
    expect(await says('p=tls-exporter,,n=user,r=abc', true)).toBe('syntax')
  })

  it('RFC 5802 §6: the proof is for this connection and no other', async () => {
    const says = (bound: Buffer) =>
      reason(
        play(
          'p=tls-exporter,,n=user,r=abc',
          (challenge) => {
            const header = Buffer.concat([Buffer.from('p=tls-exporter,,'), bound]).toString('base64')
            return `c=${header},r=${/r=([^,]+)/.exec(challenge.toString())![1]},p=${'A'.repeat(27)}=`
          },
          { channel, plus: true },
        ),
      )
    expect(await says(octets)).toBe('SCRAM: wrong proof')
    expect(await says(Buffer.from('another'))).toBe('SCRAM: the proof was made for another TLS connection')
  })
})
