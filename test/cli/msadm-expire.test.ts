/** msadm expire_mail over a real imapd. EXP-01 to EXP-07 */
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import type { ConfigOverrides } from '#src/config/config.ts'
import { openStore } from '#src/store/store.ts'
import { type RunningImapd, startImapd } from '../imapd/support.ts'
import { makeCertificate } from '../support/certificate.ts'
import { placeIn, type Result } from './support.ts'

const day = 86_400
const now = Math.floor(Date.now() / 1000)
const names = ['anna', 'boris', 'carla', 'root'].map((name) => `${name}@a.example`)

interface Site {
  readonly imapd: RunningImapd
  call(args: readonly string[], input?: string): Promise<Result>
  configure(more: string, port?: number): Promise<void>
  /** Ages in seconds of what a user has there, the oldest first; undefined: the mailbox is not there. */
  ages(user: string, mailbox?: string): Promise<readonly number[] | undefined>
}

const site = async (more = '', overrides: ConfigOverrides = {}): Promise<Site> => {
  const imapd = await startImapd(names, { admin_user: 'root@a.example', domain: 'a.example', ...overrides })
  onTestFinished(() => imapd.stop())
  const place = await placeIn(imapd.root)
  const configure = (options: string, port = imapd.port) =>
    place.configure(
      `<imap_host>127.0.0.1</imap_host><imap_port>${port}</imap_port><admin_user>root</admin_user>${options}`,
    )
  await configure(more)
  await using store = openStore({ root: join(imapd.root, 'user'), clock: systemClock, log: silentLog })
  for (const name of names) {
    const account = store.account(name as UserId)
    await account.ensure()
    await account.create('Lists')
    for (const mailboxName of ['INBOX', 'Lists']) {
      await using mailbox = await account.open(mailboxName)
      await using delivery = mailbox.deliver()
      for (const age of [40 * day, 3 * day + 60, 3 * day - 600, 60]) {
        const sink = delivery.add({ internalDate: now - age })
        await sink.write(Buffer.from(`Date: Tue, 1 Jan 1980 00:00:00 +0000\r\nSubject: ${age}\r\n\r\n`))
        await sink.end()
      }
      await delivery.commit()
    }
  }
  return {
    imapd,
    configure,
    call: place.call,
    ages: async (user, name = 'INBOX') => {
      await using again = openStore({ root: join(imapd.root, 'user'), clock: systemClock, log: silentLog })
      await using mailbox = await again.account(`${user}@a.example` as UserId).open(name)
      return Array.from(mailbox.messages, ({ internalDate }) => now - internalDate)
    },
  }
}
const all = [40 * day, 3 * day + 60, 3 * day - 600, 60]
const young = all.slice(2)
const threeDays = `<expiration_policy>INBOX$${3 * day}</expiration_policy>`

describe('msadm expire_mail', () => {
  it('EXP-01, EXP-04, EXP-05: removes what arrived earlier, to the second, of every enabled user', async () => {
    const { call, ages, imapd } = await site(`${threeDays}<expiration_policy>Nowhere$5</expiration_policy>`)
    await call(['add', '-f', '-d', 'carla'])
    expect(await call(['expire_mail', '-p', '-'], 'secret\n')).toEqual({
      status: 0,
      out: expect.stringMatching(
        /^(\w+@a\.example: 2 messages of "INBOX" expired\n){3}6 messages of 3 users expired\n$/,
      ),
      err: '',
    })
    for (const user of ['anna', 'boris', 'root']) expect(await ages(user), user).toEqual(young)
    expect(await ages('carla')).toEqual(all)
    expect(await ages('anna', 'Lists')).toEqual(all)
    expect(
      imapd.records.find(({ message, fields }) => message === 'login' && fields?.user === 'anna@a.example')?.fields,
    ).toMatchObject({ authenticated: 'root@a.example' })
    // Nothing is left to do; and what was done can be undone.
    expect((await call(['expire_mail', '-p', 'secret'])).out).toBe('0 messages of 3 users expired\n')
    expect((await call(['undelete', 'anna'])).out).toMatch(/brought back 2 messages/)
  })

  it('the password goes over STARTTLS where imapd has a certificate', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'expire-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    const [certificate, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
    makeCertificate(certificate, key)
    const { call, ages, imapd } = await site(threeDays, {
      login_disabled: true,
      tls_cert_file: certificate,
      tls_key_file: key,
    })
    expect((await call(['expire_mail', '-p', 'secret', 'anna'])).status).toBe(0)
    expect(await ages('anna')).toEqual(young)
    expect(imapd.records.find(({ message }) => message === 'login')?.fields).toMatchObject({ tls: true })
  })

  it('EXP-02, EXP-03: a user’s own rules replace those of the server; $NONE protects; without rules nothing goes', async () => {
    const { call, ages, configure } = await site()
    const policy = (user: string, ...rules: string[]) =>
      call(['add', '-f', '-n', '-p', 'secret', user, ...rules.map((rule) => `isodeMboxMailExpirationPolicy=${rule}`)])
    expect((await call(['expire_mail', '-p', 'secret'])).out).toBe('0 messages of 4 users expired\n')
    await configure(threeDays)
    await policy('anna', `Lists$${39 * day}`, 'INBOX$NONE')
    await policy('boris', 'inbox$0', `INBOX$${39 * day}`)
    await policy('carla', 'INBOX$soon')
    const result = await call(['expire_mail', '-p', 'secret'])
    expect(result).toMatchObject({ status: 1, err: 'msadm: expire_mail: 1 of 4 users were not done\n' })
    expect(result.out).toContain('carla@a.example: not done: "INBOX$soon" of carla@a.example is no rule')
    expect(await ages('anna')).toEqual(all)
    expect(await ages('anna', 'Lists')).toEqual(all.slice(1))
    expect(await ages('boris')).toEqual(all.slice(1))
    expect(await ages('carla')).toEqual(all)
    expect(await ages('root')).toEqual(young)
  })

  it('EXP-06: -l lists for -f, which tells beside it who is done, so that -c goes on', async () => {
    const { call, ages, imapd } = await site(threeDays)
    const file = join(imapd.root, 'users')
    const { out } = await call(['expire_mail', '-l'])
    expect(out.split('\n').sort()).toEqual(['', ...names])
    await writeFile(file, `# all\n${out}nobody\n`)
    await writeFile(`${file}.progress`, 'boris@a.example\nanna@a.exa')
    const first = await call(['--json', 'expire_mail', '-p', 'secret', '-f', file, '-c', '-n', '2'])
    expect(first.status).toBe(1)
    const lines = first.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines).toContainEqual({ userId: 'anna@a.example', mailbox: 'INBOX', messages: 2 })
    expect(lines).toContainEqual({ userId: 'nobody@a.example', error: 'there is no such account' })
    expect(lines).toContainEqual({ messages: 6, users: 3, before: 1, failed: 1 })
    expect(await ages('boris')).toEqual(all)
    expect(await ages('anna')).toEqual(young)
    // Who was not done is tried again, and only he.
    await writeFile(file, out)
    expect((await readFile(`${file}.progress`, 'utf8')).split('\n')).toContain('anna@a.example')
    expect((await call(['expire_mail', '-p', 'secret', '-f', file, '-c'])).out).toBe(
      '0 messages of 0 users expired, 4 users were done before\n',
    )
    expect(existsSync(`${file}.progress`)).toBe(false)
    // Without -c what was stored is forgotten.
    await writeFile(`${file}.progress`, 'boris@a.example\n')
    expect((await call(['expire_mail', '-p', 'secret', '-f', file])).out).toContain('2 messages of 4 users expired')
    expect(await ages('boris')).toEqual(young)
  })

  it('EXP-07: an imapd that says nothing for client_timeout seconds is given up', async () => {
    const silent = createServer((socket) => {
      socket.on('error', () => {})
      socket.write('* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n')
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void silent.close())
    await new Promise((resolve) => silent.once('listening', resolve))
    const { call, configure } = await site()
    const { port } = silent.address() as { port: number }
    await configure(`${threeDays}<client_timeout>1</client_timeout>`, port)
    expect(await call(['expire_mail', '-p', 'secret', 'anna'])).toMatchObject({
      status: 1,
      out: expect.stringContaining('anna@a.example: not done: no answer to the login for 1 s (client_timeout)\n'),
    })
  })

  it('says what it can’t do, and does nothing then', async () => {
    const { call, configure, ages, imapd } = await site(threeDays)
    for (const [args, status, text] of [
      [['expire_mail'], 64, '-p admin_password is needed'],
      [['expire_mail', '-p', 'x', 'anna', 'boris'], 64, '"boris" is one word too many'],
      [['expire_mail', '-p', 'x', '-l', 'anna'], 64, 'exclude each other'],
      [['expire_mail', '-p', 'x', '-c'], 64, '-c and -n belong to -f'],
      [['expire_mail', '-p', 'x', '-f', 'f', '-n', '101'], 64, 'from 0 to 100'],
      [['expire_mail', '-p', 'x', '-f', '/nowhere/f'], 1, '/nowhere/f'],
      [['expire_mail', '-p', 'wrong', 'anna'], 1, 'the password is not that of root@a.example (admin_user)'],
      [['expire_mail', '-p', 'secret', 'nobody'], 1, '1 of 1 users were not done'],
    ] as const)
      expect(await call(args), args.join(' ')).toMatchObject({ status, err: expect.stringContaining(text) })
    await configure(`${threeDays}<gateway_mode>true</gateway_mode><ms_syncd_host>localhost</ms_syncd_host>`)
    expect((await call(['expire_mail', '-p', 'secret', 'anna'])).err).toContain('gateway_mode is on')
    await configure(`${threeDays}<admin_user></admin_user>`)
    expect((await call(['expire_mail', '-p', 'secret', 'anna'])).err).toContain('admin_user')
    await configure('<expiration_policy>INBOX</expiration_policy>')
    expect(await call(['expire_mail', '-p', 'secret', 'anna'])).toMatchObject({ status: 78 })
    await imapd.reload({ login_disabled: true })
    await configure(threeDays)
    expect((await call(['expire_mail', '-p', 'secret', 'anna'])).err).toContain('imapd takes no password without TLS')
    expect(await ages('anna')).toEqual(all)
  })
})
