/** `npm start`, as a first visitor uses it. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LmtpClient } from '../lmtpd/transcript.ts'
import { mbsyncFor } from '../support/mbsync.ts'
import { RawImap } from '../support/raw-imap.ts'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')

interface Announced {
  readonly imap: { readonly host: string; readonly port: number }
  readonly pop3: { readonly host: string; readonly port: number }
  readonly lmtp: { readonly host: string; readonly port: number }
  readonly user: string
  readonly password: string
}

describe('npm start', () => {
  const state = mkdtempSync(join(tmpdir(), 'start-'))
  let announced: Announced
  let child: ReturnType<typeof spawn>

  beforeAll(async () => {
    child = spawn('npm', ['start', '--silent', '--', '--json', '--state', state], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    })
    const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string]
    announced = JSON.parse(line) as Announced
  })

  afterAll(async () => {
    const ended = once(child, 'exit')
    process.kill(-child.pid!, 'SIGTERM')
    await ended
    rmSync(state, { recursive: true, force: true })
  })

  it('serves the demonstration mailbox to curl over IMAP and POP3', async () => {
    const { imap, pop3, user, password } = announced
    const login = ['--silent', '--user', `${user}:${password}`]
    const { stdout: found } = await run('curl', [...login, `imap://${imap.host}:${imap.port}/INBOX?ALL`])
    expect(found.trim()).toBe('* SEARCH 1 2 3 4')
    const { stdout: message } = await run('curl', [...login, `imap://${imap.host}:${imap.port}/INBOX;MAILINDEX=1`])
    expect(message).toContain('Subject: Your POP mailbox, over IMAP\r\n')
    const { stdout: listing } = await run('curl', [...login, `pop3://${pop3.host}:${pop3.port}/`])
    expect(listing.trim().split('\n')).toHaveLength(4)
  })

  it('serves it to mbsync', async () => {
    const mbsync = mbsyncFor({
      port: announced.imap.port,
      user: announced.user,
      password: announced.password,
      directory: join(state, 'mbsync'),
    })
    await mbsync.sync()
    expect(mbsync.messages()).toHaveLength(4)
  })

  it('pushes what arrives at the provider to a client in IDLE', async () => {
    await using imap = await RawImap.connect(announced.imap.port)
    await imap.login(announced.user, announced.password)
    await imap.command('SELECT INBOX')
    imap.send('i IDLE\r\n')
    await imap.until(/^\+/)
    await run('npm', ['run', '--silent', 'demo:deliver', '--', state], { cwd: root })
    expect((await imap.until(/ EXISTS$/)).text).toBe('* 5 EXISTS')
  })

  it('takes mail by LMTP', async () => {
    const client = await LmtpClient.greeted(announced.lmtp)
    const [reply] = await client.deliver('a@b.example', [`${announced.user}@provider.example`], 'Subject: hi\r\n\r\n')
    expect(reply).toMatch(/^250 2\.0\.0 /)
    client.destroy()
  })

  it('shows who is there', async () => {
    const { stdout } = await run(join(root, 'bin/msstat'), ['-c', join(state, 'gateway/ms.conf')])
    expect(stdout.match(/^online ~ (\w+) /gm)?.sort()).toEqual([
      'online ~ gw ',
      'online ~ imap ',
      'online ~ lmtp ',
      'online ~ pop3 ',
    ])
  })
})

describe('npm start with arguments that can not be used', () => {
  const refused = async (...args: string[]) => {
    const { stderr } = await run('node', ['src/cli/start/main.ts', ...args], { cwd: root }).then(
      () => expect.unreachable('it should fail'),
      (error: { stderr: string }) => error,
    )
    return stderr
  }

  it('says what a backend looks like', async () => {
    expect(await refused('--backend', 'gopher://x.example')).toMatch(
      /unknown protocol gopher; give it as pop:\/\/HOST, pops:\/\/HOST, imap:\/\/HOST or imaps:\/\/HOST/,
    )
    expect(await refused('--backend', 'nonsense')).toMatch(/not a URL/)
  })

  it('does not take a password in the URL, nor repeat it', async () => {
    const said = await refused('--backend', 'pops://joe:hunter2@pop.example.net')
    expect(said).toMatch(/leave user name and password out/)
    expect(said).not.toContain('hunter2')
  })
})
