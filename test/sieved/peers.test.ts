/** Other people's ManageSieve clients at sieved: sieve-connect, and Cyrus's sivtest. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { UserId } from '#src/base/ids.ts'
import { scriptsOf } from '#src/store/scripts.ts'
import { runClient } from '../support/client.ts'
import { overlaid } from '../support/unpacked.ts'
import { password, type RunningSieved, startSieved, user } from './support.ts'

let server: RunningSieved
beforeAll(async () => {
  server = await startSieved({
    tls: true,
    users: { [user]: {}, 'root@example.org': {} },
    config: { login_disabled: true, admin_user: 'root@example.org' },
  })
})
afterAll(() => server.stop())

const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`

const sieveConnect = (...args: readonly string[]) => {
  const common = ['--nosrv', '--server', 'localhost', '--4', '--port', String(server.port), '--passwordfd', '0']
  const trust = ['--tlscafile', join(server.directory, 'cert.pem'), '--user', user]
  const words = [...common, ...trust, ...args].map(quoted).join(' ')
  return runClient('sh', ['-c', `printf ${password} | sieve-connect ${words}`])
}

const scripts = () => scriptsOf(server.elsewhere.account(user as UserId))

describe('sieve-connect', () => {
  it('over TLS puts, activates, lists, gets and deletes scripts, and shows what is wrong with one', async () => {
    const [local, wrong, copy] = ['work', 'wrong', 'copy'].map((name) => join(server.directory, `${name}.sieve`))
    const text = 'require "fileinto";\nif header :contains "subject" "é" { fileinto "Ä"; }\n'
    writeFileSync(local!, text)
    writeFileSync(wrong!, 'nonsense;')
    const commands = [
      `put ${local} work`,
      `put ${local} other`,
      'activate work',
      'list',
      `get work ${copy}`,
      'rm other',
      'quit',
    ]
    writeFileSync(join(server.directory, 'commands'), `${commands.join('\n')}\n`)
    const { said } = await sieveConnect('--exec', join(server.directory, 'commands'))
    expect(said).toMatch(/"work" ACTIVE/)
    expect(await readFile(copy!, 'utf8'), said).toBe(text)
    expect(await scripts().list()).toMatchObject([{ name: 'work', isActive: true }])
    expect(await scripts().get('work')).toBe(text)
    expect((await sieveConnect('--upload', '--localsieve', wrong!, '--remotesieve', 'work')).said).toMatch(/line 1/)
    expect(await scripts().get('work')).toBe(text)
  })
})

describe("Cyrus's sivtest", () => {
  const sivtest = async (mechanism: string, secret: string, more: readonly string[]) => {
    const etc = join(server.directory, 'etc')
    mkdirSync(etc, { recursive: true })
    const [command, ...prefix] = overlaid('cyrus', etc)
    return await runClient(command, [
      ...[...prefix, '/usr/lib/cyrus/bin/sivtest', '-p', String(server.port), '-m', mechanism, ...more],
      ...['-a', user, '-w', secret, '127.0.0.1'],
    ])
  }

  it.each([
    ['SCRAM-SHA-256', []],
    ['PLAIN', ['-t', '']],
  ])('AUTH-01 logs in by %s, and not with another password', async (mechanism, more) => {
    expect((await sivtest(mechanism, password, ['-u', user, ...more])).said).toContain('Authenticated.')
    const refused = (await sivtest(mechanism, 'wrong', ['-u', user, ...more])).said
    expect(refused).not.toContain('Authenticated.')
    expect(refused).toMatch(/^S: (NO|BYE)/m)
  })
})
