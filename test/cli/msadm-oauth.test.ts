import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import nock from 'nock'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { msadm } from '#src/cli/msadm/msadm.ts'
import { configOf } from '#src/config/config.ts'
import { openConsents } from '#src/oauth/consents.ts'

let directory: string
const provider = 'https://provider.example'

beforeEach(async () => {
  nock.disableNetConnect()
  directory = await mkdtemp(join(tmpdir(), 'msadm-oauth-'))
  await writeFile(
    join(directory, 'ms.conf'),
    `<ms_options><account_db>accounts</account_db><userdir>user</userdir><oauth_state>oauth</oauth_state><ms_sync_userdb>ms_sync.xml</ms_sync_userdb>
    <domain>a.example</domain><gateway_mode>true</gateway_mode><ms_syncd_host>pop.example</ms_syncd_host></ms_options>`,
  )
  await writeFile(
    join(directory, 'ms_sync.xml'),
    `<xmldb>
    <oauth_provider name='p' client_id='our-id' client_secret='our-secret' token_endpoint='${provider}/token'
      authorization_endpoint='${provider}/authorize' device_endpoint='${provider}/device' scope='mail'/>
    <oauth_provider name='s' preset='microsoft' tenant='t' client_id='i' client_secret='x' grant='service'/>
    <user frontend_id='joe@a.example'>
      <backend host='pop.p.example' protocol='pops' backend_id='joe@p.example' auth='oauth' oauth_provider='p' mailbox='P'/>
    </user>
    <user frontend_id='ann@a.example'>
      <backend host='pop.p.example' protocol='pops' backend_id='ann@p.example' auth='oauth' oauth_provider='p' mailbox='P'/>
      <backend host='pop.s.example' protocol='pops' backend_id='ann@s.example' auth='oauth' oauth_provider='s' mailbox='S'/>
    </user>
    </xmldb>`,
    { mode: 0o600 },
  )
})
afterEach(async () => {
  const left = nock.pendingMocks()
  nock.cleanAll()
  nock.enableNetConnect()
  await rm(directory, { recursive: true })
  expect(left).toEqual([])
})

const call = async (args: readonly string[], input: Iterable<Buffer> | AsyncIterable<Buffer> = []) => {
  const output = { out: '', err: '' }
  const collect = (name: 'out' | 'err') =>
    new Writable({
      write: (chunk, _, done) => {
        output[name] += chunk
        done()
      },
    })
  const streams = { input: Readable.from(input), out: collect('out'), err: collect('err') }
  const status = msadm(['-c', join(directory, 'ms.conf'), ...args], streams)
  return { done: status.then((code) => ({ status: code, ...output })), output }
}
const run = async (args: readonly string[], input: Iterable<Buffer> | AsyncIterable<Buffer> = []) =>
  (await call(args, input)).done
const consentOf = async (user: string) =>
  (await openConsents(configOf({ oauth_state: join(directory, 'oauth') }))).find({ provider: 'p', user })
const form = (expected: Record<string, string>) => (body: Record<string, string>) =>
  Object.entries(expected).every(([name, value]) => body[name] === value)

describe('msadm oauth', () => {
  it('lets a user consent with a code on another device (RFC 8628)', async () => {
    nock(provider)
      .post('/device', form({ client_id: 'our-id', scope: 'mail' }))
      .reply(200, {
        device_code: 'd',
        user_code: 'WXYZ',
        verification_uri: `${provider}/go`,
        expires_in: 600,
        interval: 0.01,
      })
    nock(provider).post('/token').reply(400, { error: 'authorization_pending' })
    nock(provider)
      .post('/token', form({ device_code: 'd', client_secret: 'our-secret' }))
      .reply(200, { access_token: 'access-1', refresh_token: 'refresh-1', expires_in: 3600 })
    const { status, out, err } = await run(['oauth', 'consent', 'joe@a.example'])
    expect([status, out]).toEqual([
      0,
      `Open ${provider}/go on any device and enter the code WXYZ there, within 10 minutes.\njoe@p.example has consented to p\n`,
    ])
    expect(err).toContain('msstat -e ms_sync:joe@a.example')
    expect(out + err).not.toMatch(/access-1|refresh-1|our-secret/)
    expect(await consentOf('joe@p.example')).toMatchObject({ state: 'ready', refreshToken: 'refresh-1' })
  })

  it('lets a user consent in a browser, and takes only the answer to its own question (RFC 6749 §10.12)', async () => {
    const answer = async (make: (state: string) => string) => {
      const { promise, resolve } = Promise.withResolvers<Buffer>()
      const { done, output } = await call(
        ['oauth', 'consent', '-b', 'joe@a.example'],
        (async function* () {
          yield await promise
        })(),
      )
      while (!output.out.includes('state=')) await new Promise((next) => setImmediate(next))
      const state = new URL(/^https:.*$/m.exec(output.out)![0]).searchParams.get('state')!
      resolve(Buffer.from(`${make(state)}\n`))
      return done
    }
    expect(await answer(() => 'http://127.0.0.1/?code=c&state=guess')).toMatchObject({ status: 1 })
    expect(await answer(() => 'nothing')).toMatchObject({ status: 1 })
    expect((await answer((state) => `http://127.0.0.1/?error=access_denied&state=${state}`)).err).toContain(
      'access_denied',
    )
    expect(await consentOf('joe@p.example')).toBeUndefined()
    nock(provider)
      .post('/token', form({ grant_type: 'authorization_code', code: 'c', redirect_uri: 'http://127.0.0.1/' }))
      .reply(200, { access_token: 'a', refresh_token: 'refresh-b' })
    expect(await answer((state) => `http://127.0.0.1/?code=c&state=${state}`)).toMatchObject({ status: 0 })
    expect(await consentOf('joe@p.example')).toMatchObject({ refreshToken: 'refresh-b' })
  })

  it('lists what there is and what waits, without a token', async () => {
    const consents = await openConsents(configOf({ oauth_state: join(directory, 'oauth') }))
    await consents.keep({ provider: 'p', user: 'joe@p.example' }, 'refresh-1')
    await consents.ended({ provider: 'p', user: 'joe@p.example' }, 'refresh-1')
    const { status, out } = await run(['--json', 'oauth', 'list'])
    expect(status).toBe(0)
    expect(
      out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { provider: 'p', user: 'ann@p.example', state: 'none' },
      { provider: 'p', user: 'joe@p.example', state: 'needs-consent', since: expect.any(String), sealed: false },
    ])
    expect((await run(['oauth', 'list'])).out).toMatch(
      /^p {2}ann@p.example {2}none\np {2}joe@p.example {2}needs-consent since 2/,
    )
    expect((await run(['oauth', 'forget', 'joe@a.example'])).status).toBe(0)
    expect(await consentOf('joe@p.example')).toBeUndefined()
  })

  it.each([
    [['oauth', 'consent', 'bob@a.example'], 1, /no backend of bob@a.example takes tokens/],
    [
      ['oauth', 'consent', 'ann@a.example'],
      64,
      /-n has to say which: 1 ann@p.example at pop.p.example \(p\), 2 ann@s.example/,
    ],
    [['oauth', 'consent', '-n', '2', 'ann@a.example'], 1, /grant='service': it needs no consent/],
    [['oauth', 'consent', '-n', '3', 'ann@a.example'], 64, /-n takes a number of these/],
    [['oauth', 'grant'], 64, /list, consent or forget is needed/],
    [['oauth', 'forget', 'joe@a.example'], 1, /there is no/],
  ])('%j says what is wrong', async (args, status, message) => {
    const result = await run(args as string[])
    expect(result.status).toBe(status)
    expect(result.err).toMatch(message)
  })

  it('has help with examples', async () => {
    expect((await run(['oauth', '--help'])).out).toContain('msadm oauth consent -b joe@example.org')
    expect((await run(['--completion', 'bash'])).out).toMatch(/oauth\) words='-b -r -n list consent forget'/)
  })
})
