/** Other people's LMTP clients at lmtpd: Postfix, Exim, swaks, and Cyrus's lmtptest. */
import { spawn } from 'node:child_process'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runClient } from '../support/client.ts'
import { startPostfix } from '../support/postfix.ts'
import { overlaid } from '../support/unpacked.ts'
import { password, type RunningLmtpd, startLmtpd, withoutTrace } from './support.ts'

let lmtpd: RunningLmtpd
beforeAll(async () => {
  lmtpd = await startLmtpd(
    ['anna@unix.example', 'bob@unix.example', 'anna@tcp.example', 'bob@tcp.example', 'anna@example.org'],
    { lmtp_trusted_hosts: [{ address: '127.0.0.1', prefix: 32 }] },
    { tls: true },
  )
  // Their clients run as users of their own.
  await chmod(lmtpd.root, 0o711)
  await chmod(lmtpd.unix.path, 0o666)
})
afterAll(() => lmtpd.stop())

const both = ['anna@unix.example', 'bob@unix.example', 'anna@tcp.example', 'bob@tcp.example']
const received = async (user: string, count: number) => {
  await expect.poll(async () => (await lmtpd.stored(user).catch(() => [])).length, { timeout: 20_000 }).toBe(count)
  return (await lmtpd.stored(user)).at(-1)!.toString('latin1')
}

describe('Postfix', () => {
  it('delivers by Unix socket and TCP, with TLS and XFORWARD, and returns mail for nobody', {
    timeout: 60_000,
  }, async () => {
    await using postfix = await startPostfix(
      { 'unix.example': `lmtp:unix:${lmtpd.unix.path}`, 'tcp.example': `lmtp:inet:127.0.0.1:${lmtpd.tcp.port}` },
      'lmtp_tls_security_level = may',
    )
    const sender = createTransport({ host: '127.0.0.1', port: postfix.port, ignoreTLS: true })
    const text = '.dots\r\n..\r\n.\r\nGrüße\r\n'
    await sender.sendMail({
      from: 'chris@bar.example',
      to: [...both, 'nobody@tcp.example'],
      subject: 'all',
      text,
      dsn: { notify: 'success', return: 'headers', id: 'all', recipient: 'chris@bar.example' },
    })
    sender.close()
    for (const user of both) {
      const message = await received(user, 1)
      expect(message).toMatch(/^Return-Path: <chris@bar\.example>\r\nReceived: from mx\.example\.net/)
      expect(message).toMatch(user.includes('tcp') ? /with LMTPS id/ : /with LMTP id/)
      expect(withoutTrace(Buffer.from(message, 'latin1'))).toMatch(/^(?:X-Original-To|Delivered-To|Received): /)
      expect(message).toContain('\r\n\r\n.dots\r\n..\r\n.\r\n')
    }
    await expect
      .poll(() => postfix.log(), { timeout: 20_000 })
      .toMatch(/to=<nobody@tcp\.example>.*status=bounced.*550 5\.1\.1/)
    // RFC 3461: whoever asked to hear of success does.
    await expect.poll(() => postfix.log(), { timeout: 20_000 }).toMatch(/sender delivery status notification/)
    expect(lmtpd.records.some(({ message, fields }) => message === 'delivered' && fields.origin === '127.0.0.1')).toBe(
      true,
    )
  })
})

describe('Exim', () => {
  it('delivers by Unix socket and TCP', { timeout: 30_000 }, async () => {
    const directory = join(lmtpd.root, 'exim')
    await mkdir(directory, { mode: 0o777 })
    await chmod(directory, 0o777)
    const configuration = join(directory, 'exim.conf')
    await writeFile(
      configuration,
      `primary_hostname = mx.example.net
spool_directory = ${directory}/spool
log_file_path = ${directory}/%slog
keep_environment =
begin routers
socket:
  driver = accept
  domains = unix.example
  transport = socket
tcp:
  driver = manualroute
  domains = tcp.example
  route_data = 127.0.0.1
  self = send
  transport = tcp
begin transports
socket:
  driver = lmtp
  socket = ${lmtpd.unix.path}
  batch_max = 10
  user = Debian-exim
tcp:
  driver = smtp
  protocol = lmtp
  port = ${lmtpd.tcp.port}
  hosts_try_auth = :
  tls_verify_hosts = :
  tls_try_verify_hosts = :
  allow_localhost
`,
    )
    const exim = spawn('/usr/sbin/exim4', ['-C', configuration, '-odf', '-f', 'chris@bar.example', ...both], {
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    exim.stdin.end('Subject: by Exim\n\n.dot\ntext\n')
    for (const user of both) {
      const message = await received(user, 2)
      expect(message).toMatch(/^Return-Path: <chris@bar\.example>\r\nReceived: from mx\.example\.net/)
      expect(message).toMatch(user.includes('tcp') ? /with LMTPS id/ : /with LMTP id/)
      expect(message).toMatch(/\r\n\r\n\.dot\r\ntext\r\n$/)
    }
  })
})

describe('swaks', () => {
  it('delivers, with TLS and a login', async () => {
    const { said, status } = await runClient('swaks', [
      ...['--protocol', 'LMTP', '--server', '127.0.0.1', '--port', String(lmtpd.tcp.port), '--tls-optional'],
      ...['--auth', 'PLAIN', '--auth-user', 'anna@example.org', '--auth-password', password],
      ...['--from', 'chris@bar.example', '--to', 'anna@example.org,anna@tcp.example', '--header', 'Subject: by swaks'],
    ])
    expect(said).toMatch(/<~? +235 2\.7\.0/)
    expect(said.match(/250 2\.0\.0 <anna@\S+ \S+ delivered/g)).toHaveLength(2)
    expect(status).toBe(0)
    expect(await received('anna@example.org', 1)).toContain('Subject: by swaks')
  })
})

describe("Cyrus's lmtptest", () => {
  it('logs in', async () => {
    const etc = join(lmtpd.root, 'etc')
    await mkdir(etc)
    const [command, ...prefix] = overlaid('cyrus', etc)
    const { said } = await runClient(command, [
      ...[...prefix, '/usr/lib/cyrus/bin/lmtptest', '-p', String(lmtpd.tcp.port), '-m', 'SCRAM-SHA-256'],
      ...['-a', 'anna@example.org', '-u', 'anna@example.org', '-w', password, '127.0.0.1'],
    ])
    expect(said).toContain('Authenticated.')
  })
})
