import nock from 'nock'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Clock } from '#src/base/clock.ts'
import { Access, type Grant } from '#src/oauth/access.ts'
import { google, microsoft } from '#src/oauth/provider.ts'
import { TokenEndpoint } from '#src/oauth/token-endpoint.ts'

const host = 'https://oauth2.googleapis.com'
const endpoint = new TokenEndpoint(google, { id: 'our-id', secret: 'our-secret' })

beforeEach(() => nock.disableNetConnect())
afterEach(() => {
  const left = nock.pendingMocks()
  nock.cleanAll()
  nock.enableNetConnect()
  expect(left).toEqual([])
})

/** What the request's form says. */
const form = (expected: Record<string, string>) => (body: Record<string, string>) =>
  Object.entries(expected).every(([name, value]) => body[name] === value)

const token = (access: string, more: Record<string, unknown> = {}) => ({
  access_token: access,
  token_type: 'Bearer',
  expires_in: 3600,
  ...more,
})

describe('the token endpoint', () => {
  it('sends the user to the provider, and exchanges the code (RFC 6749 §4.1, RFC 7636)', async () => {
    const { url, state, verifier } = endpoint.consentUrl('https://mail.example.org/consent')
    const asked = new URL(url).searchParams
    expect(asked.get('response_type')).toBe('code')
    expect(asked.get('state')).toBe(state)
    expect(asked.get('scope')).toBe('https://mail.google.com/')
    expect(asked.get('access_type')).toBe('offline')
    expect(asked.get('code_challenge_method')).toBe('S256')
    expect(url).not.toContain(verifier)
    const expected = {
      grant_type: 'authorization_code',
      code: 'the-code',
      redirect_uri: 'https://mail.example.org/consent',
      code_verifier: verifier,
      client_id: 'our-id',
      client_secret: 'our-secret',
    }
    nock(host)
      .post('/token', form(expected))
      .reply(200, token('a1', { refresh_token: 'r1' }))
    expect(await endpoint.exchangeCode('the-code', 'https://mail.example.org/consent', verifier)).toEqual({
      accessToken: 'a1',
      expiresIn: 3600,
      refreshToken: 'r1',
    })
  })

  it('lets the user consent on another device (RFC 8628)', async () => {
    nock(host)
      .post('/device/code', form({ client_id: 'our-id' }))
      .reply(200, {
        device_code: 'd',
        user_code: 'ABCD',
        verification_url: 'https://google.com/device',
        expires_in: 1800,
        interval: 5,
      })
    const consent = await endpoint.beginDevice()
    expect(consent).toEqual({
      deviceCode: 'd',
      userCode: 'ABCD',
      verificationUri: 'https://google.com/device',
      expiresIn: 1800,
      interval: 5,
    })
    nock(host).post('/token').reply(428, { error: 'authorization_pending' })
    await expect(endpoint.pollDevice('d')).rejects.toMatchObject({ kind: 'pending' })
    nock(host).post('/token').reply(403, { error: 'slow_down' })
    await expect(endpoint.pollDevice('d')).rejects.toMatchObject({ kind: 'slow-down' })
    nock(host)
      .post('/token', form({ grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: 'd' }))
      .reply(200, token('a'))
    expect((await endpoint.pollDevice('d')).accessToken).toBe('a')
  })

  it('acts for all users with client credentials', async () => {
    const service = new TokenEndpoint(microsoft('example.onmicrosoft.com'), { id: 'x', secret: 'y' })
    nock('https://login.microsoftonline.com')
      .post(
        '/example.onmicrosoft.com/oauth2/v2.0/token',
        form({ grant_type: 'client_credentials', scope: 'https://outlook.office365.com/.default' }),
      )
      .reply(200, token('service', { expires_in: '3599' }))
    expect(await service.clientCredentials()).toMatchObject({ accessToken: 'service', expiresIn: 3599 })
  })

  it.each([
    [400, { error: 'invalid_grant' }, 'needs-consent'],
    [401, { error: 'invalid_client' }, 'configuration'],
    [503, 'busy', 'temporary'],
    [429, '', 'temporary'],
    [404, '<html>', 'configuration'],
    [200, { token_type: 'Bearer' }, 'temporary'],
    [200, token('a\x01b'), 'temporary'],
    [200, `{"access_token":"${'x'.repeat(70_000)}"}`, 'temporary'],
  ])('tells %i %j apart', async (status, body, kind) => {
    nock(host).post('/token').reply(status, body)
    const refused = await endpoint.refresh('very-secret-refresh').catch((error: unknown) => error)
    expect(refused).toMatchObject({ kind })
    expect(String(refused)).not.toMatch(/very-secret|our-secret/)
  })

  it('sends nothing to an endpoint without TLS, and follows no redirection', async () => {
    const clear = new TokenEndpoint(
      { ...google, tokenEndpoint: 'http://oauth2.example.com/token' },
      { id: 'x', secret: undefined },
    )
    await expect(clear.refresh('r')).rejects.toMatchObject({ kind: 'configuration' })
    nock(host).post('/token').reply(302, '', { location: 'https://elsewhere.example.com/' })
    await expect(endpoint.refresh('r')).rejects.toMatchObject({ kind: 'temporary' })
  })
})

/** Stands still unless it is told to go on. */
const testClock = () => {
  let ms = 1_000
  const clock: Clock = { now: () => ms, monotonic: () => ms, sleep: async () => {} }
  return {
    clock,
    goOn: (seconds: number) => {
      ms += seconds * 1000
    },
  }
}

describe('access to an account', () => {
  const start = () => {
    const kept: string[] = []
    let refreshToken: string | undefined = 'r0'
    const time = testClock()
    const consent = async (token: string | undefined) => {
      refreshToken = token
    }
    const grant: Grant = {
      type: 'user',
      find: async () => refreshToken,
      keep: async (token) => {
        kept.push(token)
        await consent(token)
      },
      ended: async (token) => {
        if (refreshToken === token) refreshToken = undefined
      },
    }
    const access = new Access(endpoint, grant, time.clock)
    return { access, kept, consent, ...time }
  }

  it('asks once for all who want a token, and again before it ends', async () => {
    const { access, goOn } = start()
    nock(host)
      .post('/token', form({ refresh_token: 'r0' }))
      .reply(200, token('a1'))
    expect(await Promise.all([access.token(), access.token(), access.token()])).toEqual(['a1', 'a1', 'a1'])
    goOn(3200)
    expect(await access.token()).toBe('a1')
    goOn(100)
    nock(host).post('/token').reply(200, token('a2'))
    expect(await access.token()).toBe('a2')
  })

  it('keeps a refresh token that the provider changed before it uses what came with it', async () => {
    const { access, kept } = start()
    nock(host)
      .post('/token')
      .reply(200, token('a1', { refresh_token: 'r1', expires_in: 60 }))
    await access.token()
    expect(kept).toEqual(['r1'])
    access.refused('a1')
    nock(host)
      .post('/token', form({ refresh_token: 'r1' }))
      .reply(200, token('a2'))
    expect(await access.token()).toBe('a2')
  })

  it('goes on with a token that still works while the provider is away', async () => {
    const { access, goOn } = start()
    nock(host).post('/token').reply(200, token('a1'))
    await access.token()
    goOn(3400)
    nock(host).post('/token').reply(503, 'busy')
    expect(await access.token()).toBe('a1')
    goOn(400)
    nock(host).post('/token').reply(503, 'busy')
    await expect(access.token()).rejects.toMatchObject({ kind: 'temporary' })
    nock(host).post('/token').reply(200, token('a2'))
    expect(await access.token()).toBe('a2')
  })

  it('asks nobody any more once consent is gone, until somebody consents', async () => {
    const { access, consent } = start()
    nock(host).post('/token').reply(400, { error: 'invalid_grant' })
    for (let asked = 0; asked < 3; asked++)
      await expect(access.token()).rejects.toMatchObject({ kind: 'needs-consent' })
    await consent('r9')
    nock(host)
      .post('/token', form({ refresh_token: 'r9' }))
      .reply(200, token('a9'))
    expect(await access.token()).toBe('a9')
  })

  it('renews tokens of a minute when half of it is left', async () => {
    const { access, goOn } = start()
    for (let minute = 0; minute < 3; minute++) {
      nock(host)
        .post('/token')
        .reply(200, token(`m${minute}`, { expires_in: 60 }))
      expect(await access.token()).toBe(`m${minute}`)
      goOn(29)
      expect(await access.token()).toBe(`m${minute}`)
      goOn(2)
    }
  })
})
