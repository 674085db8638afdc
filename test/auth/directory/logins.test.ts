/** Users of a real slapd at the real daemons; slapd stopped, started, and hung in the middle of work. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { UserId } from '#src/base/ids.ts'
import { domainEntriesOf, type Slapd, service, startSlapd, userEntry, users } from '../../support/slapd.ts'
import { startWherry, type Wherry } from '../../support/wherry.ts'
import { directory, open } from './support.ts'

const sasl = (slapd: Slapd, more = '') => `
  <auxprop_plugin>ldapdb userdb_cache</auxprop_plugin>
  <ldapdb_uri>${slapd.url}</ldapdb_uri>
  <ldapdb_dn>${service.dn}</ldapdb_dn>
  <ldapdb_pw>${service.password}</ldapdb_pw>
  <ldapdb_mech>SIMPLE</ldapdb_mech>
  <ldapdb_timeout>1</ldapdb_timeout>
  <saslDCMappingSuffix>${users}</saslDCMappingSuffix>
  <saslSearchSuffix>${users}</saslSearchSuffix>
  ${more}`

let slapd: Slapd
let wherry: Wherry
beforeAll(async () => {
  slapd = await startSlapd({
    entries: [
      ...domainEntriesOf('a.example'),
      ...['anna', 'bert', 'carl', 'dora', 'emil'].map((name) => userEntry(`${name}@a.example`, 'secret')),
      userEntry('nopop@a.example', 'secret', 'mboxServiceAccess: pop deny'),
      userEntry('off@a.example', 'secret', 'inetUserStatus: Inactive'),
    ],
  })
  wherry = await startWherry({
    services: ['mseventd', 'imapd', 'pop3d'],
    options: {
      gateway_mode: false,
      domain: 'a.example',
      use_hashed_passwords: true,
      failed_logins_per_minute: 0,
      ldap_connect_retry_pause: 0,
      sasl: sasl(slapd, '<userdb_cache_dir>userdb_cache</userdb_cache_dir>'),
    },
  })
}, 60_000)
afterAll(async () => {
  await wherry?.stop()
  await slapd?.stop()
})

const converse = async (port: number, lines: readonly string[], last: RegExp): Promise<string> => {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(lines.map((line) => `${line}\r\n`).join(''))
  try {
    for await (const line of createInterface(socket)) if (last.test(line)) return line
    throw new Error('the connection ended')
  } finally {
    socket.destroy()
  }
}
const imap = (user: string, password = 'secret') =>
  converse(wherry.imapPort, [`a LOGIN "${user}" "${password}"`], /^a /)
const pop = async (user: string, password = 'secret') => {
  let count = 0
  const third = { test: () => ++count === 3 } as unknown as RegExp
  return converse(wherry.pop3Port, [`USER ${user}`, `PASS ${password}`], third)
}
const msadm = (...words: string[]) =>
  execFileSync(resolve(import.meta.dirname, '../../../bin/msadm'), ['-c', wherry.configFile, ...words], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })

describe('imapd and pop3d', () => {
  it('USR-01 USR-03 USR-11 CAN-03 let users of the directory in', async () => {
    expect(await imap('anna')).toMatch(/^a OK/)
    expect(await imap('ANNA@a.example')).toMatch(/^a OK/)
    expect(await pop('anna@A.EXAMPLE')).toMatch(/^\+OK/)
    expect(await imap('anna', 'wrong')).toMatch(/^a NO \[AUTHENTICATIONFAILED\]/)
    expect(await imap('anna', '')).toMatch(/^a NO \[AUTHENTICATIONFAILED\]/)
    expect(await imap('nobody')).toMatch(/^a NO \[AUTHENTICATIONFAILED\]/)
    expect(await pop('anna', 'wrong')).toMatch(/^-ERR \[AUTH\]/)
    expect(await imap('off')).toMatch(/^a NO \[AUTHORIZATIONFAILED\]/)
  })

  it('USR-07 in other letters it is the same mailbox', () => {
    expect(msadm('path', 'anna@a.example').trim()).toMatch(/anna/)
    expect(wherry.log()).not.toContain('user=ANNA')
  })

  it('USR-08 IMAP-09 keep the rule of the entry', async () => {
    expect(await imap('nopop')).toMatch(/^a OK/)
    expect(await pop('nopop')).toMatch(/^-ERR/)
  })

  it.each(['*', 'ann*', 'anna)(uid=*', '*)(objectClass=*', 'anna,ou=users', '(|(uid=anna))'])(
    'know nobody of the name %s',
    async (name) => {
      expect(await imap(name)).toMatch(/^a (NO \[AUTHENTICATIONFAILED\]|BAD)/)
      expect(await pop(name)).toMatch(/^-ERR/)
    },
  )

  it('msadm writes where they read', async () => {
    msadm('add', '-p', 'first', 'nina@new.example', 'givenName=Nina', 'mboxMessageSizeQuota=1024')
    expect(await imap('nina@new.example', 'first')).toMatch(/^a OK/)
    msadm('passwd', '-p', 'second', 'nina@new.example')
    await vi.waitFor(async () => expect(await imap('nina@new.example', 'first')).toMatch(/^a NO/))
    expect(await imap('nina@new.example', 'second')).toMatch(/^a OK/)
    const listed = msadm('list', '-v', '-p', '-d', 'new')
    expect(listed).toMatch(/^nina@new\.example\n {2}state: enabled\n/)
    expect(listed).toContain('mboxMessageSizeQuota: 1024')
    expect(listed).toContain('mailLocalAddress: nina@new.example')
    expect(listed).toContain('userPassword: SSHA')
    expect(slapd.read(`cn=nina,dc=new,dc=example,${users}`)).toContain('uid: nina@new.example')
    msadm('add', '-f', '-d', 'nina@new.example')
    expect(await imap('nina@new.example', 'second')).toMatch(/^a NO/)
    msadm('del', 'nina@new.example')
    expect(await imap('nina@new.example', 'second')).toMatch(/^a NO \[AUTHENTICATIONFAILED\]/)
    expect(msadm('list', '-d', 'new')).toBe('')
  })

  /** Behind the login. */
  const isRemembered = (name: string) =>
    expect
      .poll(() => existsSync(join(wherry.directory, `userdb_cache/${name}@a.example.json`)), { timeout: 20_000 })
      .toBe(true)

  it('AUTH-16: while slapd is away those who are known get in, and others hear that it is away', async () => {
    expect(await imap('bert')).toMatch(/^a OK/)
    await isRemembered('bert')
    await slapd.halt()
    expect(await imap('bert')).toMatch(/^a OK/)
    expect(await pop('bert')).toMatch(/^\+OK/)
    expect(await imap('bert', 'wrong')).toMatch(/^a NO \[AUTHENTICATIONFAILED\]/)
    expect(await imap('carl')).toMatch(/^a NO \[UNAVAILABLE\]/)
    expect(await pop('carl')).toMatch(/^-ERR \[SYS\/TEMP\]/)
    await slapd.resume()
    expect(await imap('carl')).toMatch(/^a OK/)
  })

  it('AUTH-16: a slapd that hangs is as one that is away, and logins wait no longer than the time limit says', async () => {
    expect(await imap('dora')).toMatch(/^a OK/)
    await isRemembered('dora')
    slapd.signal('SIGSTOP')
    try {
      expect(await imap('dora')).toMatch(/^a OK/)
      const begin = performance.now()
      expect(await imap('emil')).toMatch(/^a NO \[UNAVAILABLE\]/)
      expect(performance.now() - begin).toBeLessThan(20_000)
      expect(await imap('dora', 'wrong')).toMatch(/^a NO \[(AUTHENTICATIONFAILED|UNAVAILABLE)\]/)
    } finally {
      slapd.signal('SIGCONT')
    }
    expect(await imap('emil')).toMatch(/^a OK/)
  })

  it('no password is in the log or in what is remembered', () => {
    expect(wherry.log()).not.toContain('secret')
    const remembered = readFileSync(join(wherry.directory, 'userdb_cache/anna@a.example.json'), 'utf8')
    expect(remembered).toContain('$scrypt$')
    expect(remembered).not.toContain('secret')
  })
})

it('a login costs the same among 100 and among 10,000 users', async () => {
  const medianMs = async (count: number): Promise<number> => {
    const entries = Array.from({ length: count }, (_, n) => userEntry(`user${n}@a.example`, 'secret'))
    await using many = await startSlapd({ entries: [...domainEntriesOf('a.example'), ...entries] })
    const accounts = open(directory(many.url, { use_hashed_passwords: true }))
    const times: number[] = []
    for (let n = 0; n < 100; n++) {
      const userId = `user${(n * 7919) % count}@a.example` as UserId
      const begin = performance.now()
      expect(await accounts.matches(userId, await accounts.find(userId), Buffer.from('secret'))).toBe(true)
      times.push(performance.now() - begin)
    }
    await accounts.close()
    return times.sort((a, b) => a - b)[50]!
  }
  const [few, many] = [await medianMs(100), await medianMs(10_000)]
  // Without an index it is more than ten times as much.
  expect(many / few).toBeLessThan(4)
}, 60_000)
