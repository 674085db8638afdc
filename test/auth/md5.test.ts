/** CRAM-MD5 and DIGEST-MD5, message by message. RFC 2195, RFC 2831 */
import { describe, expect, it } from 'vitest'
import { runCramMd5, runDigestMd5 } from '#src/auth/sasl/md5.ts'
import type { Exchange } from '#src/auth/sasl/mechanism.ts'
import { AuthError, SyntaxFault } from '#src/base/errors.ts'

const exchange = (answer: string | Buffer, password: string | Buffer, more: Partial<Exchange> = {}) => {
  const asked: string[] = []
  const users: string[] = []
  const parts: Exchange = {
    initial: undefined,
    ask: async (challenge) => {
      asked.push(challenge.toString())
      return Buffer.from(answer)
    },
    channel: undefined,
    offered: [],
    scramKeys: () => Promise.reject(new Error('no keys')),
    clearPassword: async (user) => {
      users.push(user)
      return Buffer.from(password)
    },
    tokenUser: () => Promise.reject(new Error('no tokens')),
    realm: 'elwood.innosoft.com',
    service: 'imap',
    ...more,
  }
  return { parts, asked, users }
}
const reason = async (run: Promise<unknown>): Promise<string> => {
  try {
    await run
  } catch (error) {
    if (error instanceof SyntaxFault) return 'syntax'
    if (error instanceof AuthError && error.kind === 'bad-credentials') return (error.cause as Error).message
    throw error
  }
  return 'in'
}

describe('CRAM-MD5', () => {
  const challenge = '<1896.697170952@postoffice.reston.mci.net>'
  const digest = 'b913a602c7eda7a495b4e6e7334d3890'

  it('RFC 2195 §2: the example', async () => {
    const { parts, asked, users } = exchange(`tim ${digest}`, 'tanstaaftanstaaf')
    expect(await runCramMd5(parts, challenge)).toEqual({ user: 'tim', authzid: undefined })
    expect([asked, users]).toEqual([[challenge], ['tim']])
  })

  it('refuses the digest of another password or another challenge; challenges differ', async () => {
    expect(await reason(runCramMd5(exchange(`tim ${digest}`, 'other').parts, challenge))).toBe('CRAM-MD5: wrong digest')
    const [one, two] = [0, 1].map(() => exchange(`tim ${digest}`, 'tanstaaftanstaaf'))
    for (const { parts } of [one!, two!]) expect(await reason(runCramMd5(parts))).toBe('CRAM-MD5: wrong digest')
    expect(one!.asked[0]).toMatch(/^<[0-9a-f]{32}\.\d+@[^>]+>$/)
    expect(one!.asked).not.toEqual(two!.asked)
  })

  it.each(['', digest, ` ${digest}`, 'tim', 'tim 1234', `tim ${digest} `])('H13 does not read %j', async (answer) => {
    expect(await reason(runCramMd5(exchange(answer, '').parts, challenge))).toBe('syntax')
  })
})

describe('DIGEST-MD5', () => {
  const nonce = 'OA6MG9tEQGm2hh'
  const answer = (changes: Readonly<Record<string, string | undefined>> = {}) =>
    Object.entries({
      charset: 'utf-8',
      username: '"chris"',
      realm: '"elwood.innosoft.com"',
      nonce: `"${nonce}"`,
      nc: '00000001',
      cnonce: '"OA6MHXh6VqTrRk"',
      'digest-uri': '"imap/elwood.innosoft.com"',
      response: 'd388dad90d4bbd760a152321f2143af7',
      qop: 'auth',
      ...changes,
    })
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}=${value}`)
      .join(',')
  const run = (text: string | Buffer, password: string | Buffer = 'secret', more: Partial<Exchange> = {}) => {
    const play = exchange(text, password, more)
    return { ...play, proof: runDigestMd5(play.parts, nonce) }
  }

  it('RFC 2831 §4: the example', async () => {
    const { proof, asked, users } = run(answer())
    expect(await proof).toEqual({
      user: 'chris@elwood.innosoft.com',
      authzid: undefined,
      last: Buffer.from('rspauth=ea40f60335c427b5527b84dbabcdfffd'),
    })
    expect(users).toEqual(['chris@elwood.innosoft.com'])
    expect(asked).toEqual([`realm="elwood.innosoft.com",nonce="${nonce}",qop="auth",charset=utf-8,algorithm=md5-sess`])
  })

  it('takes quotes, blanks and empty elements as RFC 2831 §7.1 has them', async () => {
    const odd = answer({ username: '"ch\\ris"', qop: undefined }).replaceAll(',', ' , ,')
    expect(await reason(run(odd).proof)).toBe('in')
  })

  it.each([
    [{ response: 'd388dad90d4bbd760a152321f2143af8' }, 'wrong response'],
    [{ nonce: '"another"' }, 'another nonce, or one that was used'],
    [{ nc: '00000002' }, 'another nonce, or one that was used'],
    [{ qop: 'auth-int' }, 'a protection that was not offered'],
    [{ 'digest-uri': '"pop/elwood.innosoft.com"' }, 'made for another service'],
    [{ cnonce: '"OA6MHXh6VqTrRl"' }, 'wrong response'],
    [{ authzid: '"root"' }, 'wrong response'],
    [{ realm: '"elsewhere"' }, 'wrong response'],
  ])('refuses %j: %s', async (changes, expected) => {
    expect(await reason(run(answer(changes)).proof)).toBe(`DIGEST-MD5: ${expected}`)
  })

  it.each([
    '',
    'username',
    answer({ username: undefined }),
    answer({ username: '""' }),
    answer({ response: 'abc' }),
    answer({ cnonce: undefined }),
    `${answer()},nonce="twice"`,
    answer({ username: '"chris' }),
  ])('H13 does not read %j', async (text) => {
    expect(await reason(run(text).proof)).toBe('syntax')
  })

  it('has no initial response', async () => {
    expect(await reason(run(answer(), 'secret', { initial: Buffer.from('x') }).proof)).toBe('syntax')
  })
})
