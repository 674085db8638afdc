/**
 * An OAuth provider on a loopback port, and what a real Dovecot needs to ask it about tokens. Time is the test's own: nothing has to be waited
 * for.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TokenProvider extends AsyncDisposable {
  readonly tokenEndpoint: string
  /** Lines of dovecot.conf: logins by OAUTHBEARER and XOAUTH2 only, for tokens that are valid now. */
  readonly dovecot: string
  /** Seconds that an access token works. */
  lifetime: number
  /** The refresh token that works; undefined: consent was revoked. It is exchanged at each use. */
  refreshToken: string | undefined
  /** Access tokens that were given. */
  readonly given: readonly string[]
  /** Seconds go by. */
  goOn(seconds: number): void
  /** Milliseconds, as the clock of a process. */
  now(): number
}

/** `user`: whose mailbox all tokens open. `prefix`: of every token, so that it can be found again. */
export const startTokenProvider = async (user: string, prefix = 'token'): Promise<TokenProvider> => {
  const directory = await mkdtemp(join(tmpdir(), 'provider-'))
  // Dovecot reads the file in it as another user.
  await chmod(directory, 0o755)
  let nowMs = 1_000_000
  const endsMs = new Map<string, number>()
  const fresh = (kind: string) => `${prefix}-${kind}-${randomBytes(9).toString('hex')}`
  const bodyOf = async (request: IncomingMessage): Promise<URLSearchParams> => {
    let body = ''
    for await (const chunk of request) body += chunk
    return new URLSearchParams(body)
  }
  const answer = async (request: IncomingMessage): Promise<readonly [number, unknown]> => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1')
    if (url.pathname === '/tokeninfo') {
      const end = endsMs.get(url.searchParams.get('access_token') ?? '') ?? 0
      return end > nowMs ? [200, { active: true, user }] : [401, { error: 'invalid_token' }]
    }
    const form = await bodyOf(request)
    if (form.get('grant_type') !== 'client_credentials') {
      if (self.refreshToken === undefined || form.get('refresh_token') !== self.refreshToken)
        return [400, { error: 'invalid_grant' }]
      self.refreshToken = fresh('refresh')
    }
    const token = fresh('access')
    endsMs.set(token, nowMs + self.lifetime * 1000)
    return [200, { access_token: token, expires_in: self.lifetime, refresh_token: self.refreshToken }]
  }
  const server = createServer((request, response) => {
    void answer(request).then(([status, json]) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json)),
    )
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const base = `http://127.0.0.1:${port}`
  const file = join(directory, 'oauth2.conf')
  await writeFile(
    file,
    `tokeninfo_url = ${base}/tokeninfo?access_token=\nusername_attribute = user\nactive_attribute = active\nactive_value = true\n`,
    { mode: 0o644 },
  )
  const self: TokenProvider = {
    tokenEndpoint: `${base}/token`,
    dovecot: `auth_mechanisms = xoauth2 oauthbearer\npassdb {\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n  args = ${file}\n}\n`,
    lifetime: 3600,
    refreshToken: `${prefix}-refresh-0`,
    get given() {
      return [...endsMs.keys()]
    },
    goOn: (seconds) => {
      nowMs += seconds * 1000
    },
    now: () => nowMs,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
      await rm(directory, { recursive: true })
    },
  }
  return self
}
