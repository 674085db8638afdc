import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { saslPrep } from '#src/auth/saslprep.ts'
import {
  decoy,
  formatScram,
  formatScrypt,
  makeVerifiers,
  parseScram,
  type ScramHash,
  scramKeys,
  verifyPassword,
} from '#src/auth/verifier.ts'

/** What a server that has only the stored keys makes of a client's proof. RFC 5802 §3 */
const check = (hash: ScramHash, salt: string, authMessage: string, proof: string) => {
  const keys = scramKeys(hash, Buffer.from('pencil'), Buffer.from(salt, 'base64'), 4096)
  const stored = parseScram(formatScram(keys))!
  const signature = createHmac(hash, stored.storedKey).update(authMessage).digest()
  const clientKey = Buffer.from(proof, 'base64').map((octet, index) => octet ^ signature[index]!)
  return {
    accepted: timingSafeEqual(createHash(hash).update(clientKey).digest(), stored.storedKey),
    serverSignature: createHmac(hash, stored.serverKey).update(authMessage).digest('base64'),
  }
}

describe('SCRAM verifiers', () => {
  it('RFC 5802 §5: the example exchange of SCRAM-SHA-1', () => {
    const nonce = 'fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j'
    const message = `n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=${nonce},s=QSXCR+Q6sek8bf92,i=4096,c=biws,r=${nonce}`
    expect(check('sha1', 'QSXCR+Q6sek8bf92', message, 'v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=')).toEqual({
      accepted: true,
      serverSignature: 'rmF9pqV8S7suAoZWja4dJRkFsKQ=',
    })
  })

  it('RFC 7677 §3: the example exchange of SCRAM-SHA-256', () => {
    const nonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
    const message = `n=user,r=rOprNGfwEbeRWgbNEkqO,r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=${nonce}`
    expect(
      check('sha256', 'W22ZaJ0SNY7soEsUEjb6gQ==', message, 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='),
    ).toEqual({
      accepted: true,
      serverSignature: '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
    })
  })

  it.each([
    '',
    'SCRAM-SHA-1$4096:AAAA$AAAA:AAAA',
    'SCRAM-SHA-512$1:A$A:A',
    `SCRAM-SHA-1$0:AAAA$${'A'.repeat(27)}=:${'A'.repeat(27)}=`,
  ])('does not read %j', (text) => {
    expect(parseScram(text)).toBeUndefined()
  })
})

describe('SASLprep', () => {
  it('RFC 4013 §3: its examples but the one on writing directions', () => {
    expect(saslPrep(Buffer.from('I\u00adX'))?.toString()).toBe('IX')
    expect(saslPrep(Buffer.from('user'))?.toString()).toBe('user')
    expect(saslPrep(Buffer.from('USER'))?.toString()).toBe('USER')
    expect(saslPrep(Buffer.from('\u00aa'))?.toString()).toBe('a')
    expect(saslPrep(Buffer.from('\u2168'))?.toString()).toBe('IX')
    expect(saslPrep(Buffer.from('\u0007'))).toBeUndefined()
  })
  it('refuses what is not text', () => {
    expect(saslPrep(Buffer.from([0xff, 0xfe]))).toBeUndefined()
    expect(saslPrep(Buffer.from('\u00ad'))).toBeUndefined()
  })
})

describe('scrypt verifiers', () => {
  it('RFC 7914 §12: its second vector', () => {
    const cost = { logN: 10, r: 8, p: 16 }
    const expected = Buffer.from('fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162', 'hex')
    expect(formatScrypt(cost, Buffer.from('NaCl'), Buffer.from('password'))).toBe(
      `$scrypt$ln=10,r=8,p=16$TmFDbA$${expected.toString('base64').replaceAll('=', '')}`,
    )
  })

  it('tells the password by its octets', () => {
    const { scrypt, scramSha1, scramSha256 } = makeVerifiers(Buffer.from('pässword'))
    expect(verifyPassword(Buffer.from('pässword'), scrypt)).toBe(true)
    expect(verifyPassword(Buffer.from('pa\u0308ssword'), scrypt)).toBe(false)
    expect(verifyPassword(Buffer.from('pässword', 'latin1'), scrypt)).toBe(false)
    expect([parseScram(scramSha1!)?.hash, parseScram(scramSha256!)?.hash]).toEqual(['sha1', 'sha256'])
  })

  it('has no SCRAM keys for octets that are not text, and fresh salts', () => {
    const latin1 = Buffer.from('pässword', 'latin1')
    const verifiers = makeVerifiers(latin1)
    expect(Object.keys(verifiers)).toEqual(['scrypt'])
    expect(verifyPassword(latin1, verifiers.scrypt)).toBe(true)
    expect(makeVerifiers(latin1).scrypt).not.toBe(verifiers.scrypt)
  })

  it('computes the decoy like any other, and refuses what is none', () => {
    expect(verifyPassword(Buffer.from('x'), decoy)).toBe(false)
    expect(() => verifyPassword(Buffer.from('x'), '$scrypt$ln=40,r=8,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAA')).toThrow(
      RangeError,
    )
  })
})
