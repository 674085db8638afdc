/** TLS with programs that have another implementation of it, or of what goes over it. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { password, type RunningImapd, startImapd } from '../imapd/support.ts'
import * as pop3 from '../pop3d/support/served.ts'
import { makeCertificate } from '../support/certificate.ts'
import { mbsyncFor } from '../support/mbsync.ts'
import { RawImap } from '../support/raw-imap.ts'

const run = promisify(execFile)
const user = 'anna@example.org'
let directory: string
let imapd: RunningImapd
let certificate: string
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tls-peers-'))
  certificate = join(directory, 'cert.pem')
  const key = join(directory, 'key.pem')
  makeCertificate(certificate, key)
  imapd = await startImapd([user], { tls_cert_file: certificate, tls_key_file: key, login_disabled: true })
})
afterAll(async () => {
  await imapd.stop()
  rmSync(directory, { recursive: true })
})

/** What openssl and the server say; the connection ends when the server closes it. */
async function sClient(port: number, protocol: 'imap' | 'pop3', said: string, ...more: string[]): Promise<string> {
  const verify = ['-CAfile', certificate, '-verify_return_error', '-verify_hostname', 'localhost']
  const args = [
    's_client',
    '-connect',
    `127.0.0.1:${port}`,
    '-starttls',
    protocol,
    '-crlf',
    '-ign_eof',
    ...verify,
    ...more,
  ]
  const running = run('openssl', args, { timeout: 20_000 })
  running.child.stdin!.end(said)
  const { stdout, stderr } = await running
  return stdout + stderr
}

describe('openssl s_client', () => {
  it.each([
    ['-tls1_3', 'TLSv1.3'],
    ['-tls1_2', 'TLSv1.2'],
  ])('STARTTLS of IMAP with %s', async (option, version) => {
    const heard = await sClient(imapd.port, 'imap', `a LOGIN ${user} ${password}\nb LOGOUT\n`, option)
    expect(heard).toMatch(new RegExp(`New, ${version}, Cipher is \\w`))
    expect(heard).toMatch(/^a OK/m)
    expect(heard).toMatch(/^b OK/m)
  })

  it('STLS of POP3', async () => {
    const served = await pop3.serve({ tls: true })
    const args = ['s_client', '-connect', `127.0.0.1:${served.port}`, '-starttls', 'pop3', '-crlf', '-ign_eof']
    const running = run('openssl', [...args, '-CAfile', served.certFile, '-verify_return_error'], { timeout: 20_000 })
    running.child.stdin!.end('CAPA\nQUIT\n')
    const { stdout } = await running
    expect(stdout).toMatch(/Verify return code: 0 \(ok\)/)
    expect(stdout).toMatch(/^SASL PLAIN|^SASL .* PLAIN/m)
  })

  it('nothing older than TLS 1.2', async () => {
    await expect(sClient(imapd.port, 'imap', '', '-tls1_1', '-cipher', 'ALL:@SECLEVEL=0')).rejects.toThrow()
  })
})

describe('mbsync', () => {
  it('over STARTTLS, the certificate verified', async () => {
    const mbsync = mbsyncFor({ port: imapd.port, user, password, directory, authority: certificate })
    expect(await mbsync.sync()).toContain('Connection is now encrypted')
  })
})

describe('neomutt', () => {
  const message = 'Subject: for neomutt\r\n\r\nbody\r\n'

  it('over STARTTLS, the certificate verified: flags a message, saves another in another mailbox, leaves', async () => {
    await using served = await startImapd([user], {
      tls_cert_file: certificate,
      tls_key_file: join(directory, 'key.pem'),
    })
    await using imap = await RawImap.connect(served.port)
    await imap.login(user, password)
    await imap.command('CREATE Archive')
    for (const tag of ['x', 'y']) {
      imap.send(`${tag} APPEND INBOX {${message.length}+}\r\n${message}\r\n`)
      await imap.until(new RegExp(`^${tag} OK`))
    }
    const config = join(directory, 'muttrc')
    const lines = [
      `set folder="imap://localhost:${served.port}/" spoolfile="imap://localhost:${served.port}/INBOX"`,
      `set imap_user="${user}" imap_pass="${password}" certificate_file="${certificate}"`,
      'set ssl_starttls=yes ssl_force_tls=yes ssl_verify_host=yes imap_check_subscribed=no sort=mailbox-order',
      'set confirm_append=no confirm_create=no delete=yes quit=yes mark_old=no wait_key=no',
      "push '<first-entry><flag-message><next-entry><save-message>=Archive<enter><sync-mailbox><quit>'",
    ]
    writeFileSync(config, `${lines.join('\n')}\n`, { mode: 0o600 })
    // It wants a terminal.
    await run('script', ['-qec', `neomutt -n -F ${config}`, '/dev/null'], {
      env: { ...process.env, TERM: 'xterm', HOME: directory, LC_ALL: 'C.UTF-8' },
      timeout: 30_000,
    })
    expect(served.records.findLast(({ message }) => message === 'login')?.fields).toMatchObject({ user, tls: true })
    const flagsIn = async (mailbox: string) => {
      await imap.command(`EXAMINE ${mailbox}`)
      return (await imap.command('UID FETCH 1:* (FLAGS)')).map(({ text }) => text)
    }
    expect(await flagsIn('INBOX')).toEqual(['* 1 FETCH (UID 1 FLAGS (\\Flagged))'])
    expect(await flagsIn('Archive')).toHaveLength(1)
  })
})
