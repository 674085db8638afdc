import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { AccountSource } from '#src/auth/account-source.ts'
import type { AccountRecord } from '#src/auth/accounts.ts'
import { StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import { limitsOf, setLimits } from '#src/server/quota-limits.ts'
import { freePort } from '../../support/free-port.ts'
import { domainEntriesOf, type Slapd, startSlapd, userEntry, users } from '../../support/slapd.ts'
import { directory, open } from './support.ts'

const salted = (password: string) => {
  const salt = Buffer.from('salt')
  return `{SSHA}${Buffer.concat([createHash('sha1').update(password).update(salt).digest(), salt]).toString('base64')}`
}

let slapd: Slapd
beforeAll(async () => {
  slapd = await startSlapd({
    tls: true,
    entries: [
      ...domainEntriesOf('imap.myisp.net'),
      userEntry(
        'usera@imap.myisp.net',
        'pot4secret',
        'givenName: Jack',
        'displayName: Jack Smith Jr.',
        'mail: usera@imap.myisp.net',
        'mailLocalAddress: usera@imap.myisp.net',
        'mailLocalAddress: jsjr@imap.myisp.net',
        'mboxRootUserDir: /mnt/disk2/user',
        'mboxMessageSizeQuota: 102400',
        'mboxServiceAccess: pop deny',
        'mboxServiceAccess: imap allow',
      ),
      userEntry('hashed@imap.myisp.net', salted('pot4secret')),
      userEntry('none@imap.myisp.net', undefined),
      userEntry('off@imap.myisp.net', 'pot4secret', 'inetUserStatus: inactive'),
      userEntry('moving@imap.myisp.net', 'pot4secret', 'inetUserStatus: Migrating'),
      userEntry('gone@imap.myisp.net', 'pot4secret', 'inetUserStatus: Deleted'),
      userEntry('strange@imap.myisp.net', 'pot4secret', 'inetUserStatus: whatever'),
      userEntry('twice@imap.myisp.net', 'pot4secret'),
      userEntry('twice@imap.myisp.net', 'pot4secret')
        .replace('cn=twice', 'cn=twice2')
        .replace('cn: twice', 'cn: twice2'),
      // Not of object class mboxUser.
      `dn: cn=printer,${users}\nobjectClass: inetOrgPerson\ncn: printer\nsn: printer\nuid: printer@imap.myisp.net`,
    ],
  })
})
afterAll(() => slapd.stop())

const opened = (more: ConfigOverrides = {}, url: string | readonly string[] = slapd.url): AccountSource => {
  const accounts = open(directory(url, more))
  onTestFinished(() => accounts.close())
  return accounts
}
const id = (name: string) => (name.includes('@') ? name : `${name}@imap.myisp.net`) as UserId
const opens = async (accounts: AccountSource, name: string, password: string | Buffer) =>
  accounts.matches(id(name), await accounts.find(id(name)), Buffer.from(password))
const kindOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: unknown) => (error instanceof StoreError ? error.kind : `${error}`),
  )

describe('users in slapd', () => {
  it('USR-01 USR-02 USR-04 USR-05 LDAP-13: the entry of appendix C is an account', async () => {
    expect(await opened().find(id('usera'))).toEqual({
      userId: 'usera@imap.myisp.net',
      state: 'enabled',
      verifiers: undefined,
      passwordSchemes: ['PLAIN'],
      services: { pop: 'deny', imap: 'allow' },
      properties: expect.arrayContaining([
        ['cn', 'usera'],
        ['sn', 'Smith'],
        ['givenName', 'Jack'],
        ['displayName', 'Jack Smith Jr.'],
        ['mail', 'usera@imap.myisp.net'],
        ['mailLocalAddress', 'usera@imap.myisp.net'],
        ['mailLocalAddress', 'jsjr@imap.myisp.net'],
        ['mboxRootUserDir', '/mnt/disk2/user'],
        ['mboxMessageSizeQuota', '102400'],
      ]),
    })
  })

  it('USR-06: only what ldapdb_user_filter selects', async () => {
    expect(await opened().find(id('printer'))).toBeUndefined()
    expect(await opened({ ldapdb_user_filter: '(objectClass=person)' }).find(id('printer'))).toBeDefined()
    const some = opened({ ldapdb_user_filter: '(&(objectClass=mboxUser)(!(inetUserStatus=inactive)))' })
    expect(await some.find(id('off'))).toBeUndefined()
    expect(() => opened({ ldapdb_user_filter: '(objectClass=mboxUser' })).toThrow('ldapdb_user_filter')
  })

  it.each([
    ['off', 'disabled'],
    ['moving', 'migrating'],
    ['strange', 'disabled'],
    ['none', 'enabled'],
    ['gone', undefined],
  ] as const)('inetUserStatus of %s: %s', async (name, state) => {
    expect((await opened().find(id(name)))?.state).toBe(state)
  })

  it('USR-07: a name in other letters is the same account, under one name', async () => {
    expect((await opened().find(id('USERA')))?.userId).toBe('usera@imap.myisp.net')
  })

  it('USR-01: two entries of one name let nobody in', async () => {
    expect(await kindOf(opened().find(id('twice')))).toBe('unavailable')
  })

  it.each([
    ...['*', 'user*', '*a', 'usera)(uid=*', 'usera)(|(objectClass=*)', '*)(objectClass=*))(|(uid=*', '(usera)', '\\2a'],
    ...[
      'usera\0',
      'usera,dc=imap',
      'usera+cn=usera',
      '"usera"',
      '#usera',
      'usera\\',
      '<usera>',
      'cn=usera',
      'usera;x',
      ' usera',
    ],
    ...['ou=users,o=myisp', '\\00', 'us\u0435ra', '__proto__', 'constructor'],
  ])('hostile name %j finds nobody, in filters and in DNs', async (local) => {
    for (const more of [{}, { saslSearchSuffix: '' }, { use_hashed_passwords: true }]) {
      const accounts = opened(more)
      expect(await accounts.find(id(`${local}@imap.myisp.net`))).toBeUndefined()
      expect(await opens(accounts, `${local}@imap.myisp.net`, 'pot4secret')).toBe(false)
      expect(await opens(accounts, `${local}@imap.myisp.net`, '')).toBe(false)
    }
  })

  it('saslDCMappingSuffix alone: the domain leads to the base of the search', async () => {
    const accounts = opened({ saslSearchSuffix: '' })
    expect(await opens(accounts, 'usera', 'pot4secret')).toBe(true)
    expect(await accounts.find(id('usera@elsewhere.example'))).toBeUndefined()
  })

  it('saslUsernameAttribute and saslDefaultDomain: names without a domain', async () => {
    const accounts = opened({ saslUsernameAttribute: 'cn', saslDefaultDomain: 'imap.myisp.net' })
    expect((await accounts.find(id('usera')))?.userId).toBe('usera@imap.myisp.net')
    expect(await accounts.find(id('usera@elsewhere.example'))).toBeUndefined()
  })

  it('a search base that is not there is a fault, and not an unknown user', async () => {
    expect(await kindOf(opened({ saslSearchSuffix: 'ou=nowhere,o=myisp' }).find(id('usera')))).toBe('unavailable')
  })

  it('a service that may not log in is a fault, and not an unknown user', async () => {
    expect(await kindOf(opened({ ldapdb_pw: 'wrong' }).find(id('usera')))).toBe('unavailable')
  })
})

describe('passwords', () => {
  it.each([
    // AUTH-06: what userPassword has in clear, or hashed; AUTH-08: by a bind, whatever it has.
    ['clear', {}, { usera: true, hashed: false, none: false, nobody: false }],
    ['hashed', { pwcheck_method: 'auxprop-hashed' }, { usera: false, hashed: true, none: false, nobody: false }],
    ['bind', { use_hashed_passwords: true }, { usera: true, hashed: true, none: false, nobody: false }],
  ] as const)('AUTH-06 AUTH-08 USR-03 %s', async (_, options, expected) => {
    const accounts = opened(options)
    for (const [name, matches] of Object.entries(expected)) {
      expect([name, await opens(accounts, name, 'pot4secret')]).toEqual([name, matches])
      for (const wrong of ['', 'pot4secre', 'pot4secret ', '\0', Buffer.from([0xff]), Buffer.alloc(4096, 'x')])
        expect([name, wrong, await opens(accounts, name, wrong)]).toEqual([name, wrong, false])
    }
    // The hash is no password.
    expect(await opens(accounts, 'hashed', salted('pot4secret'))).toBe(false)
  })

  it('an empty password never reaches a bind, where slapd would let it in (RFC 4513 §5.1.2)', async () => {
    await using loose = await startSlapd({
      entries: [...domainEntriesOf('a.example'), userEntry('anna@a.example', 'secret')],
      global: ['olcAllows: bind_anon_dn bind_anon_cred'],
    })
    const accounts = opened({ use_hashed_passwords: true }, loose.url)
    expect(await opens(accounts, 'anna@a.example', '')).toBe(false)
    expect(await opens(accounts, 'anna@a.example', 'secret')).toBe(true)
  })

  it('many at the same time', async () => {
    const accounts = opened({ use_hashed_passwords: true })
    const tried = Array.from({ length: 60 }, (_, n) => opens(accounts, 'usera', n % 3 === 0 ? 'pot4secret' : 'wrong'))
    expect(await Promise.all(tried)).toEqual(tried.map((_, n) => n % 3 === 0))
  })
})

describe('a directory that was started again', () => {
  it('is asked over new connections, by all who log in at that moment', async () => {
    await using restarted = await startSlapd({
      entries: [...domainEntriesOf('a.example'), userEntry('anna@a.example', 'secret')],
    })
    const accounts = opened({ use_hashed_passwords: true }, restarted.url)
    const all = () => Promise.all(Array.from({ length: 20 }, () => opens(accounts, 'anna@a.example', 'secret')))
    expect(await all()).not.toContain(false)
    for (let times = 0; times < 2; times++) {
      await restarted.halt()
      await restarted.resume()
      expect(await all()).not.toContain(false)
    }
  })

  it('that hangs fails what is asked, and more than 200 who wait at once', async () => {
    await using hung = await startSlapd({
      entries: [...domainEntriesOf('a.example'), userEntry('anna@a.example', 'secret')],
    })
    const accounts = opened({ use_hashed_passwords: true, ldapdb_timeout: 1, ldap_connect_retry_pause: 60 }, hung.url)
    const anna = id('anna@a.example')
    const account = await accounts.find(anna)
    hung.signal('SIGSTOP')
    const begin = performance.now()
    const tried = Array.from({ length: 250 }, () => kindOf(accounts.matches(anna, account, Buffer.from('secret'))))
    expect(new Set(await Promise.all(tried))).toEqual(new Set(['unavailable']))
    // The first eight wait for the time limit, twice where the connection was good; nobody after them.
    expect(performance.now() - begin).toBeLessThan(20_000)
    hung.signal('SIGCONT')
  })
})

describe('ldapdb_map_method', () => {
  it.each(['proxyauth', 'fallback'] as const)('AUTH-11 %s: the server says which entry it is', async (method) => {
    const accounts = opened({ ldapdb_map_method: method })
    expect(await opens(accounts, 'usera', 'pot4secret')).toBe(true)
    expect(await accounts.find(id('nobody'))).toBeUndefined()
    expect(await accounts.find(id('*'))).toBeUndefined()
  })

  it('AUTH-11: proxyauth without the right finds nobody, fallback computes', async () => {
    await using strict = await startSlapd({
      entries: [...domainEntriesOf('a.example'), userEntry('anna@a.example', 'secret')],
      global: ['olcDisallows: proxy_authz_non_critical'],
      database: ['olcAddContentAcl: FALSE'],
    })
    strict.modify(`dn: cn=wherry,o=myisp\nchangetype: modify\ndelete: authzTo\n`)
    expect(await opened({ ldapdb_map_method: 'proxyauth' }, strict.url).find(id('anna@a.example'))).toBeUndefined()
    expect(await opened({ ldapdb_map_method: 'fallback' }, strict.url).find(id('anna@a.example'))).toBeDefined()
  })
})

describe('binding as Wherry', () => {
  it.each([
    ['PLAIN', { ldapdb_mech: 'PLAIN', ldapdb_dn: undefined, ldapdb_id: 'wherry' }, 'done'],
    [
      'PLAIN with another password',
      { ldapdb_mech: 'PLAIN', ldapdb_dn: undefined, ldapdb_id: 'wherry', ldapdb_pw: 'x' },
      'unavailable',
    ],
    ['EXTERNAL', { ldapdb_mech: 'EXTERNAL', ldapdb_pw: undefined }, 'done'],
  ] as const)('LDAP-10 %s', async (_, options, expected) => {
    expect(await kindOf(opened(options, slapd.socketUrl).find(id('usera')))).toBe(expected)
  })
})

describe('the way to the directory', () => {
  it.each([
    ['ldaps, not checked', 'secure', {}, true],
    ['ldaps, checked without its authority', 'secure', { ldapdb_tls_server_cert: 'demand' }, false],
    ['ldaps, checked', 'secure', { ldapdb_tls_server_cert: 'hard', ca: true }, true],
    ['ldaps, try', 'secure', { ldapdb_tls_server_cert: 'try' }, false],
    ['STARTTLS, not checked', 'plain', { ldapdb_starttls: 'yes' }, true],
    ['STARTTLS, allow', 'plain', { ldapdb_starttls: 'allow', ldapdb_tls_server_cert: 'demand' }, true],
    [
      'STARTTLS, checked as the other option says',
      'plain',
      { ldapdb_starttls: '1', ldapdb_tls_server_cert: 'demand' },
      false,
    ],
    ['STARTTLS, demand without its authority', 'plain', { ldapdb_starttls: 'demand' }, false],
    ['STARTTLS, demand', 'plain', { ldapdb_starttls: 'demand', ca: true }, true],
    ['a Unix socket', 'socket', {}, true],
    ['STARTTLS, try', 'plain', { ldapdb_starttls: 'try' }, false],
    ['STARTTLS, hard', 'plain', { ldapdb_starttls: 'hard', ca: true }, true],
    ['no STARTTLS, which is the default', 'plain', { ldapdb_tls_server_cert: 'hard' }, true],
  ] as const)('TLS-08, TLS-09 %s', async (_, way, { ca, ...options }: ConfigOverrides & { ca?: boolean }, goes) => {
    const url = { secure: slapd.secureUrl, plain: slapd.url, socket: slapd.socketUrl }[way]
    const accounts = opened({ ...options, ...(ca && { ldapdb_ca_cert: slapd.certificateFile }) }, url)
    expect(await kindOf(accounts.find(id('usera')))).toBe(goes ? 'done' : 'unavailable')
  })

  it('STARTTLS that the server refuses: nothing is sent in clear', async () => {
    await using plain = await startSlapd()
    expect(await kindOf(opened({ ldapdb_starttls: 'yes' }, plain.url).find(id('usera')))).toBe('unavailable')
  })

  it('ldapdb_client_cert, ldapdb_client_key and its password are shown to a server that asks', async () => {
    await using mutual = await startSlapd({ tls: true, mutual: true })
    const sealed = `${mutual.keyFile}.sealed.pem`
    const sealing = ['pkcs8', '-topk8', '-in', mutual.keyFile, '-out', sealed, '-passout', 'pass:opens']
    execFileSync('openssl', sealing, { stdio: 'ignore' })
    const tried = async (options: ConfigOverrides) =>
      kindOf(opened(options, mutual.secureUrl).find(id('usera@imap.myisp.net')))
    const ldapdb_client_cert = mutual.certificateFile
    expect(await tried({})).toBe('unavailable')
    expect(await tried({ ldapdb_client_cert, ldapdb_client_key: mutual.keyFile })).toBe('done')
    expect(await tried({ ldapdb_client_cert, ldapdb_client_key: sealed })).toBe('unavailable')
    const ldapdb_client_key_passwd = 'opens'
    expect(await tried({ ldapdb_client_cert, ldapdb_client_key: sealed, ldapdb_client_key_passwd })).toBe('done')
  })

  it('sasl/tls_cipher_list counts towards LDAP servers', async () => {
    const ciphers = (list: string) => ({ 'sasl/tls_cipher_list': list, ldapdb_tls_server_cert: 'never' }) as const
    expect(await kindOf(opened(ciphers('ECDHE-ECDSA-AES128-GCM-SHA256'), slapd.secureUrl).find(id('usera')))).toBe(
      'done',
    )
    const wrong = opened(ciphers('NO-SUCH-SUITE'), slapd.secureUrl).find(id('usera'))
    await expect(wrong).rejects.toThrow('NO-SUCH-SUITE')
  })

  it('TLS-08: a certificate for another name is refused', async () => {
    const named = { ldapdb_tls_server_cert: 'demand', ldapdb_ca_cert: slapd.certificateFile } as const
    const tried = ['127.0.0.1', 'localhost', '127.0.0.2'].map((host) =>
      kindOf(opened(named, slapd.secureUrl.replace('127.0.0.1', host)).find(id('usera'))),
    )
    expect(await Promise.all(tried)).toEqual(['done', 'done', 'unavailable'])
  })

  it('LDAP-06: the servers of the list are tried in order', async () => {
    const dead = `ldap://127.0.0.1:${await freePort()}`
    const accounts = opened({}, [dead, slapd.url])
    expect(await kindOf(accounts.find(id('usera')))).toBe('done')
    expect(await kindOf(opened({}, [dead]).find(id('usera')))).toBe('unavailable')
  })

  it('LDAP-06: a server that takes connections and never answers', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    onTestFinished(() => void silent.close())
    const { port } = silent.address() as { port: number }
    const accounts = opened({ ldapdb_timeout: 1, ldap_connect_retry_pause: 60 }, [
      `ldap://127.0.0.1:${port}`,
      slapd.url,
    ])
    expect(await kindOf(accounts.find(id('usera')))).toBe('done')
  })
})

describe('changes', () => {
  const account = (userId: string, more: Partial<AccountRecord> = {}): AccountRecord => ({
    userId: id(userId),
    state: 'enabled',
    verifiers: undefined,
    services: {},
    properties: [],
    ...more,
  })
  const sorted = (ldif: string) => ldif.trim().split('\n').sort()
  const entry = (name: string, domain = 'dc=imap,dc=myisp,dc=net') => slapd.read(`cn=${name},${domain},${users}`)

  it('USR-02 USR-06 LDAP-13: a new account is an entry as in appendix C', async () => {
    const accounts = opened()
    const properties = [
      ['mail', 'new@imap.myisp.net'],
      ['mailLocalAddress', 'new@imap.myisp.net'],
      ['mailLocalAddress', 'alias@imap.myisp.net'],
      ['sn', 'Smith'],
    ] as const
    await accounts.add(account('new', { properties, services: { imap: 'deny' } }), Buffer.from('pass \u00e9'))
    const text = entry('new')
    for (const line of [
      ...['top', 'person', 'organizationalPerson', 'inetOrgPerson', 'inetUser', 'mboxUser', 'cmuSaslUser'],
      'inetLocalMailRecipient',
    ])
      expect(text).toContain(`objectClass: ${line}\n`)
    for (const line of [
      'cn: new',
      'uid: new@imap.myisp.net',
      'sn: Smith',
      'inetUserStatus: Active',
      'userPassword: pass \u00e9',
    ])
      expect(text).toContain(`${line}\n`)
    expect(await opens(accounts, 'new', 'pass \u00e9')).toBe(true)
    expect((await accounts.find(id('new')))?.services).toEqual({ imap: 'deny' })
    expect(await kindOf(accounts.add(account('new')))).toBe('already-exists')
    expect(await kindOf(accounts.add(account('NEW')))).toBe('already-exists')
  })

  it('USR-06: domain entries that are missing are made', async () => {
    const accounts = opened()
    await accounts.add(account('first@mail.new.example'), Buffer.from('secret'))
    expect(slapd.read(`dc=mail,dc=new,dc=example,${users}`)).toContain('objectClass: domain\ndc: mail\n')
    expect(await opens(accounts, 'first@mail.new.example', 'secret')).toBe(true)
  })

  it('a name with every character of DNs and filters is written and found again', async () => {
    const accounts = opened()
    const name = 'a,b+c"d\\e<f>g;h=i#j(k)l*m@imap.myisp.net'
    await accounts.add(account(name), Buffer.from('secret'))
    expect((await accounts.find(id(name)))?.userId).toBe(name)
    expect(await opens(accounts, name, 'secret')).toBe(true)
    await accounts.remove(id(name))
    expect(await accounts.find(id(name))).toBeUndefined()
  })

  it('AUTH-08: with use_hashed_passwords the server hashes a new password (RFC 3062)', async () => {
    const accounts = opened({ use_hashed_passwords: true })
    await accounts.add(account('bound'), Buffer.from('secret'))
    expect(entry('bound')).toMatch(/^userPassword: \{SSHA\}/m)
    expect(await opens(accounts, 'bound', 'secret')).toBe(true)
    await accounts.put((await accounts.find(id('bound')))!, Buffer.from('other'))
    expect(await opens(accounts, 'bound', 'secret')).toBe(false)
    expect(await opens(accounts, 'bound', 'other')).toBe(true)
  })

  it('a change leaves what it does not name as it is', async () => {
    const accounts = opened()
    const long = 'x'.repeat(2000)
    slapd.modify(
      `dn: cn=usera,dc=imap,dc=myisp,dc=net,${users}\nchangetype: modify\nadd: description\ndescription: ${long}\n-\nadd: telephoneNumber\ntelephoneNumber: 1234\n`,
    )
    const before = entry('usera')
    const record = (await accounts.find(id('usera')))!
    await accounts.put(record)
    expect(entry('usera')).toBe(before)
    await accounts.put({ ...record, state: 'disabled' }, Buffer.from('changed'))
    const changed = before.replace('userPassword: pot4secret', 'userPassword: changed')
    expect(sorted(entry('usera'))).toEqual(sorted(`${changed.trimEnd()}\ninetUserStatus: Inactive`))
    await accounts.put(record, Buffer.from('pot4secret'))
  })

  it('USR-10: an entry gets another name and keeps everything else, also in another domain, and behind a crash', async () => {
    const accounts = opened()
    await accounts.add(
      account('wanda', {
        properties: [
          ['displayName', 'Wanda'],
          ['mail', 'wanda@imap.myisp.net'],
        ],
      }),
      Buffer.from('secret'),
    )
    await accounts.rename(id('wanda'), id('wendy'))
    expect(await kindOf(accounts.rename(id('wanda'), id('wendy')))).toBe('done')
    expect(await accounts.find(id('wanda'))).toBeUndefined()
    expect(await opens(accounts, 'wendy', 'secret')).toBe(true)
    expect(entry('wendy')).toContain('displayName: Wanda')
    expect(entry('wendy')).toContain('uid: wendy@imap.myisp.net')
    expect(entry('wendy')).not.toMatch(/^(cn|uid): wanda/m)
    const away = 'wendy@elsewhere.example' as UserId
    await accounts.rename(id('wendy'), away)
    expect((await accounts.find(away))?.properties).toContainEqual(['displayName', 'Wanda'])
    expect(slapd.read(`cn=wendy,dc=elsewhere,dc=example,${users}`)).toContain('uid: wendy@elsewhere.example')
    // It died with the new DN and the old name.
    slapd.modify(
      `dn: cn=wendy,dc=elsewhere,dc=example,${users}\nchangetype: modrdn\nnewrdn: cn=wilma\ndeleteoldrdn: 1\nnewsuperior: dc=imap,dc=myisp,dc=net,${users}\n`,
    )
    await accounts.rename(away, id('wilma'))
    expect((await accounts.find(id('wilma')))?.userId).toBe('wilma@imap.myisp.net')
    expect(await kindOf(accounts.rename(id('wilma'), id('usera')))).toBe('already-exists')
    expect(await kindOf(accounts.rename(id('nobody'), id('noone')))).toBe('not-found')
    await accounts.remove(id('wilma'))
  })

  it('QUO-02 QUO-03: limits are attributes of the entry, and go away again', async () => {
    const accounts = opened()
    const before = entry('usera')
    await setLimits(accounts, id('usera'), { storage: 5, messages: 7 })
    expect(entry('usera')).toContain('mboxMessageSizeQuota: 5\n')
    expect(entry('usera')).toContain('mboxMessageCountQuota: 7\n')
    const limits = limitsOf(configOf({ quota_limit: 9 }), id('usera'), await accounts.find(id('usera')))
    expect(limits).toEqual({ storage: { value: 5, from: 'user' }, messages: { value: 7, from: 'user' } })
    await setLimits(accounts, id('usera'), { storage: undefined, messages: undefined })
    expect(entry('usera')).not.toMatch(/Quota/)
    expect(limitsOf(configOf({ quota_limit: 9 }), id('usera'), await accounts.find(id('usera'))).storage).toEqual({
      value: 9,
      from: 'server',
    })
    await setLimits(accounts, id('usera'), { storage: 102400 })
    expect(sorted(entry('usera'))).toEqual(sorted(before))
  })

  it.each(['objectClass', 'userPassword', 'uid', 'inetUserStatus', 'cmusaslsecret'])(
    '%s is no property',
    async (name) => {
      expect(await kindOf(opened().add(account('x', { properties: [[name, 'top']] })))).toBe('invalid')
    },
  )

  it('what the schema does not have is refused in the words of the server', async () => {
    const adding = opened().add(account('x', { properties: [['shoeSize', '42']] }))
    await expect(adding).rejects.toThrow(/shoeSize/)
    expect(await kindOf(adding)).toBe('invalid')
  })

  it('who may not write is told so', async () => {
    const reader = { ldapdb_dn: `cn=hashed,dc=imap,dc=myisp,dc=net,${users}`, ldapdb_pw: 'pot4secret' }
    expect(await kindOf(opened(reader).add(account('x')))).toBe('no-permission')
  })

  it('removes an account; one that is not there is told', async () => {
    const accounts = opened()
    await accounts.add(account('short'))
    await accounts.remove(id('short'))
    expect(await kindOf(accounts.remove(id('short')))).toBe('not-found')
    expect(await kindOf(accounts.put(account('short')))).toBe('not-found')
  })

  it('lists who has a password or a state, with ldapdb_user_check_attrs=false everybody', async () => {
    const names = async (more: ConfigOverrides) =>
      (await Array.fromAsync(opened(more).list())).map(({ userId }) => userId.split('@')[0])
    const some = await names({})
    expect(some).toEqual(expect.arrayContaining(['usera', 'hashed', 'off', 'moving']))
    expect(some).not.toContain('none')
    expect(some).not.toContain('gone')
    expect(some).not.toContain('printer')
    expect(await names({ ldapdb_user_check_attrs: false })).toContain('none')
  })
})
