/** msadm quota, du, service, and deliver over quota. QUO-02, QUO-03, QUO-04, QUO-06, USR-08, USR-09 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Uid } from '#src/base/ids.ts'
import { fill, newPlace } from './support.ts'

const joe = 'joe@a.example'

describe('msadm quota', () => {
  it('QUO-02, QUO-03: reads and changes the user’s own, else tells the server’s', async () => {
    const { call, configure } = await newPlace()
    await call(['add', '-d', 'joe', 'n=1'])
    expect((await call(['quota', 'get', 'joe'])).out).toBe('joe@a.example: no limit (quota_limit)\n')
    await configure('<quota_limit>2000</quota_limit>')
    expect((await call(['quota', 'get', 'joe'])).out).toBe('joe@a.example: 2000 KB (quota_limit)\n')
    expect(await call(['quota', 'set', 'joe', '102400'])).toEqual({
      status: 0,
      out: 'joe@a.example: 102400 KB (own)\n',
      err: '',
    })
    expect((await call(['list', '-v'])).out).toContain('  n: 1\n  mboxMessageSizeQuota: 102400\n')
    expect((await call(['quota', 'set', 'joe', '0'])).out).toBe('joe@a.example: no limit (own)\n')
    expect((await call(['quota', 'set', '-m', 'joe', '50'])).out).toBe(
      'joe@a.example: no limit (own), 50 messages (own)\n',
    )
    expect((await call(['quota', 'set', 'joe', 'default'])).out).toBe(
      'joe@a.example: 2000 KB (quota_limit), 50 messages (own)\n',
    )
    expect(JSON.parse((await call(['--json', 'quota', 'get', 'joe'])).out)).toEqual({
      userId: joe,
      quotaKb: 2000,
      own: false,
      from: 'server',
      messages: 50,
      ownMessages: true,
      messagesFrom: 'user',
    })
    await configure("<quota_limit>2000</quota_limit><domain_rule domain='A.example' quota_limit='500'/>")
    expect((await call(['quota', 'get', 'joe'])).out).toBe('joe@a.example: 500 KB (domain_rule), 50 messages (own)\n')
  })

  it('says what it can’t do', async () => {
    const { call, directory } = await newPlace()
    await call(['add', '-d', 'joe', 'mboxMessageSizeQuota=much'])
    for (const [args, status, text] of [
      [['quota'], 64, 'get or set is needed'],
      [['quota', 'get'], 64, 'a userid is missing'],
      [['quota', 'get', 'joe', '5'], 64, '"5" is one word too many'],
      [['quota', 'set', 'joe'], 64, 'a whole number of KB'],
      [['quota', 'set', 'joe', '1.5'], 64, 'a whole number of KB'],
      [['quota', 'set', 'joe', '8796093022208'], 64, 'up to 8796093022207'],
      [['quota', 'set', 'nobody', '5'], 1, 'there is no account nobody@a.example'],
      [['quota', 'get', 'nobody'], 1, 'there is no account nobody@a.example, and no mail of it'],
      [['quota', 'get', 'joe'], 1, 'mboxMessageSizeQuota of joe@a.example is no whole number'],
    ] as const)
      expect(await call(args), args.join(' ')).toMatchObject({ status, err: expect.stringContaining(text) })
    await writeFile(join(directory, 'ms.conf'), '<ms_options><quota_limit>-1</quota_limit></ms_options>')
    expect((await call(['quota', 'get', 'joe'])).status).toBe(78)
  })
})

describe('msadm du', () => {
  it('QUO-04: shows what a user has, recomputes it, and tells apart what can be brought back', async () => {
    const { call, mail, directory } = await newPlace('<quota_limit>10</quota_limit>')
    expect(await call(['du', 'joe'])).toMatchObject({ status: 1, err: 'msadm: du: joe@a.example has no mail here\n' })
    await mail(joe, async (account) => {
      await fill(account, [1000, 1049, 500])
      await account.create('Old')
      await fill(account, [300], 'Old')
      await account.create('Gone')
      await fill(account, [2000], 'Gone')
      await account.remove('Gone')
      await using inbox = await account.open('INBOX')
      await inbox.expunge([3 as Uid], 'client')
      await account.usage()
    })
    expect(await call(['du', 'joe'])).toEqual({
      status: 0,
      out: 'joe@a.example: 3 KB of 10 KB (30 %), 3 messages\n',
      err: '',
    })
    // A figure that was stored wrong, by a disk perhaps.
    await writeFile(join(directory, 'user', joe, 'cache', 'usage'), 'nonsense\n')
    expect((await call(['du', '-r', 'joe'])).out).toBe(
      'joe@a.example: 3 KB of 10 KB (30 %), 3 messages; not counted: 3 KB, 2 messages that can be brought back\n',
    )
    expect(JSON.parse((await call(['du', '--json', '-r', 'joe'])).out)).toMatchObject({
      octets: 2349,
      messages: 3,
      kb: 3,
      quotaKb: 10,
      kept: { octets: 2500, messages: 2 },
    })
  })
})

describe('msadm deliver', () => {
  it('QUO-06, LMTP-04: over quota is 75, or 77 without over_quota_temp_error', async () => {
    const { call, configure, mail } = await newPlace('<quota_limit>1</quota_limit>')
    await mail(joe, (account) => account.ensure())
    const message = `Subject: x\n\n${'x'.repeat(600)}\n`
    expect((await call(['deliver', 'joe'], message)).status).toBe(0)
    expect(await call(['deliver', 'joe'], message)).toMatchObject({
      status: 75,
      err: 'msadm: deliver: the mail of joe@a.example has reached its limit\n',
    })
    await configure('<quota_limit>1</quota_limit><over_quota_temp_error>false</over_quota_temp_error>')
    expect((await call(['deliver', 'joe'], message)).status).toBe(77)
    await configure('')
    expect((await call(['deliver', 'joe'], message)).status).toBe(0)
    expect((await call(['du', 'joe'])).out).toBe('joe@a.example: 2 KB, 2 messages\n')
  })
})

describe('msadm service', () => {
  it('USR-08, USR-09: sets a rule, takes it away, and tells what is in force and whether it is explicit', async () => {
    const { call } = await newPlace(
      '<accessible_services>pop=deny</accessible_services><default_new_service_access>allow</default_new_service_access>',
    )
    await call(['add', '-d', 'joe'])
    const steps: readonly (readonly [string, string])[] = [
      ['pop query', 'pop deny (implicit)'],
      ['imap query', 'imap allow (implicit)'],
      ['pop grant', 'pop allow (explicit)'],
      ['pop query', 'pop allow (explicit)'],
      ['imap deny', 'imap deny (explicit)'],
      ['pop deny', 'pop deny (explicit)'],
      ['pop allow', 'pop allow (explicit)'],
      ['pop default', 'pop deny (implicit)'],
      ['imap query', 'imap deny (explicit)'],
      ['sieve default', 'sieve allow (implicit)'],
    ]
    for (const [words, expected] of steps)
      expect((await call(['service', ...words.split(' '), 'joe'])).out, words).toBe(`joe@a.example: ${expected}\n`)
    expect(JSON.parse((await call(['--json', 'service', 'imap', 'query', 'joe'])).out)).toEqual({
      userId: joe,
      service: 'imap',
      access: 'deny',
      kind: 'explicit',
    })
    for (const [args, status, text] of [
      [['service'], 64, 'the service is one of imap, pop, sieve'],
      [['service', 'smtp', 'deny', 'joe'], 64, 'the service is one of'],
      [['service', 'imap', 'joe'], 64, 'behind the service comes one of grant, allow, deny, default, query'],
      [['service', 'imap', 'toString', 'joe'], 64, 'behind the service comes one of'],
      [['service', 'imap', 'deny'], 64, 'a userid is missing'],
      [['service', 'imap', 'deny', 'nobody'], 1, 'there is no account nobody@a.example'],
    ] as const)
      expect(await call(args), args.join(' ')).toMatchObject({ status, err: expect.stringContaining(text) })
  })
})
