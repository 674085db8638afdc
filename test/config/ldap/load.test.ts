import { execFileSync } from 'node:child_process'
import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Clock, systemClock } from '#src/base/clock.ts'
import { placeOf } from '#src/config/config.ts'
import { ConfigError, formatFinding } from '#src/config/finding.ts'
import { listenersOf } from '#src/config/listeners.ts'
import { loadConfig } from '#src/config/ms-conf.ts'
import { encryptFile } from '#src/config/servpass/encrypt-file.ts'
import { keyFileOf, writeKeyFile } from '#src/config/servpass/key-file.ts'
import { keyOf, newSalt, verifierOf } from '#src/config/servpass/seal.ts'
import { freePort } from '../../support/free-port.ts'
import { base, type Slapd, service, startSlapd } from '../../support/slapd.ts'
import { appendixC, confFile, container, leadTo, serverDn, serverEntry, setServer } from './support.ts'

let slapd: Slapd
beforeAll(async () => {
  slapd = await startSlapd({
    tls: true,
    entries: [
      ...appendixC,
      container(`cn=Other,${base}`),
      `dn: cn=dsa,${base}\nobjectClass: untypedObject\nobjectClass: mboxVirtualDomain\ncn: dsa\nsaslUsernameAttribute: cn\nsaslSearchSuffix: ou=users,${base}\nsaslUserEntryFilter: (objectClass=person)`,
      serverEntry('mboxSharedRootsDN: cn=Nowhere,o=myisp').replaceAll('mail.myisp.net', 'poor.myisp.net'),
      serverEntry(
        'mboxListeners: http://a/',
        'mboxListeners: imap://a:99999',
        'mboxImapTimeout: 20',
        'mboxBackends: pop://a',
      ).replaceAll('mail.myisp.net', 'wrong.myisp.net'),
    ],
  })
})
afterAll(() => slapd.stop())

const errorsOf = async (work: Promise<unknown>) => {
  const error = await work.then(
    () => undefined,
    (fault: unknown) => fault,
  )
  if (!(error instanceof ConfigError)) throw new Error(`no ConfigError: ${error}`)
  return error.findings.filter(({ severity }) => severity === 'error').map(formatFinding)
}
const other = (text: string, name: string) => text.replace(serverDn, serverDn.replace('mail.myisp.net', name))

describe('configuration from slapd', () => {
  it('LDAP-01 LDAP-05 LDAP-12 C-04 C-05: the entry of appendix C goes before the file, which keeps the rest', async () => {
    const { file } = await confFile(
      leadTo(
        slapd.url,
        '<ms_user>fromfile</ms_user>\n<login_disabled>true</login_disabled>\n<imap_timeout>40</imap_timeout>\n<imap_port>1143</imap_port>',
      ),
    )
    const { config, warnings, directory } = await loadConfig(file)
    expect(config.get('ms_user')).toBe('pp')
    expect(config.get('domain')).toBe('imap.myisp.net')
    expect(config.get('userdir')).toBe('/srv/mail/users')
    expect(config.get('shared_root_dir')).toBe('/srv/mail/shared')
    expect(config.get('login_disabled')).toBe(false)
    expect(listenersOf(config, 'lmtp')).toEqual([{ host: 'mail.example.com', port: 2003 }])
    // Only the types that it has.
    expect(listenersOf(config, 'imap')).toEqual([{ host: '', port: 1143 }])
    expect(config.get('imap_timeout')).toBe(40)
    // SHR-07
    expect(config.all('shared_root')).toEqual([
      {
        name: 'staff',
        path: '/srv/mail/shared/staff',
        email: undefined,
        access: expect.arrayContaining([
          { kind: 'user', name: 'usera', access: ['all'] },
          { kind: 'user', name: 'userb', access: ['read', 'write'] },
        ]),
      },
    ])
    expect(config.all('group')).toEqual([{ name: 'people', users: expect.arrayContaining(['usera', 'userb']) }])
    expect(placeOf(config, 'ms_user')).toBe(`${serverDn}: `)
    expect(placeOf(config, 'imap_timeout')).toBe(`${file}:12: `)
    expect(warnings.map(({ file, attribute, option }) => [file, attribute, option])).toContainEqual([
      serverDn,
      'mboxTelemetryLogDir',
      'telemetry_log',
    ])
    expect(directory).toMatchObject({ isCached: false })
  })

  it('LDAP-02: ldap: takes ldap_server and ldap_port, a URL makes them irrelevant, local asks nobody', async () => {
    const port = new URL(slapd.url).port
    const at = (location: string, host: string, port: string) =>
      confFile(leadTo(location, `<ldap_server>${host}</ldap_server><ldap_port>${port}</ldap_port>`))
    expect((await loadConfig((await at('ldap:', '127.0.0.1', port)).file)).config.get('ms_user')).toBe('pp')
    expect((await loadConfig((await at(slapd.url, '127.0.0.1', '1')).file)).config.get('ms_user')).toBe('pp')
    const local = await loadConfig((await at('local', '127.0.0.1', port)).file)
    expect([local.config.get('ms_user'), local.directory]).toEqual(['mbox', undefined])
    expect((await loadConfig((await at(slapd.secureUrl, 'x', '1')).file)).config.get('ms_user')).toBe('pp')
    expect((await loadConfig((await at(slapd.socketUrl, 'x', '1')).file)).config.get('ms_user')).toBe('pp')
  })

  it.each([
    ['<config_location>ldap:</config_location>', 'ldap_server: is not set'],
    ['<config_location>ldap://a</config_location>', 'ldap_basedn: is not set'],
    ['<config_location>somewhere</config_location>', 'config_location: "somewhere" is not one of'],
    [
      '<config_location>ldap://a</config_location><ldap_basedn>cn=a</ldap_basedn><ldap_bind_id>a</ldap_bind_id>',
      'ldap_bind_pwd: is not set, and DIGEST-MD5 needs a password',
    ],
    [
      '<config_location>ldap://a</config_location><ldap_basedn>cn=a</ldap_basedn><ldap_bind_pwd>a</ldap_bind_pwd><ldap_bind_method>GSSAPI</ldap_bind_method>',
      "ldap_bind_method: GSSAPI can't be used",
    ],
  ])('%s is refused', async (options, message) => {
    const { file } = await confFile(`<ms_options>${options}</ms_options>`)
    expect((await errorsOf(loadConfig(file))).join('\n')).toContain(message)
  })

  it.each([
    ['DIGEST-MD5', '', true],
    ['CRAM-MD5', '<ldap_bind_method>CRAM-MD5</ldap_bind_method>', true],
    ['PLAIN', '<ldap_bind_method>PLAIN</ldap_bind_method>', true],
    ['DIGEST-MD5', '', false],
    ['CRAM-MD5', '<ldap_bind_method>CRAM-MD5</ldap_bind_method>', false],
    ['PLAIN', '<ldap_bind_method>PLAIN</ldap_bind_method>', false],
  ])(
    'LDAP-10: %s (%s) binds with ldap_bind_id, the right password: %s, with STARTTLS too',
    async (_, method, isRight) => {
      for (const starttls of ['never', 'yes']) {
        const text = leadTo(
          slapd.url,
          `<ldap_bind_id>wherry</ldap_bind_id><sasl><ldapdb_starttls>${starttls}</ldapdb_starttls></sasl>`,
        )
          .replace('<ldap_bind_method>SIMPLE</ldap_bind_method>\n', method)
          .replace(service.password, isRight ? service.password : 'another')
        const { file } = await confFile(text)
        if (isRight) expect((await loadConfig(file)).config.get('ms_user')).toBe('pp')
        else
          expect((await errorsOf(loadConfig(file))).join()).toMatch(
            /config_location: no server has given .*, and none is remembered/,
          )
      }
    },
  )

  it("LDAP-03 C-34: the directory server's own entry tells how users are found; that it can't be read is harmless", async () => {
    const users = '<sasl><auxprop_plugin>ldapdb</auxprop_plugin></sasl>'
    const read = async (dsa: string) => loadConfig((await confFile(leadTo(slapd.url, `${dsa}${users}`))).file)
    const { config } = await read(`<dsa_config_dn>cn=dsa,${base}</dsa_config_dn>`)
    expect(config.get('saslUsernameAttribute')).toBe('cn')
    expect(config.get('saslSearchSuffix')).toBe(`ou=users,${base}`)
    expect(config.get('ldapdb_user_filter')).toBe('(objectClass=person)')
    // AUTH-10: where the configuration is, users are.
    const suffix = users.replace('<sasl>', `<sasl><saslSearchSuffix>ou=users,${base}</saslSearchSuffix>`)
    const about = async (dsa: string) =>
      (await loadConfig((await confFile(leadTo(slapd.url, `${dsa}${suffix}`))).file)).warnings.filter(
        ({ option }) => option === 'dsa_config_dn',
      )
    expect(await about('')).toEqual([])
    expect(await about('<dsa_config_dn></dsa_config_dn>')).toEqual([])
    expect(await about(`<dsa_config_dn>cn=nobody,${base}</dsa_config_dn>`)).toMatchObject([
      { severity: 'warning', file: `cn=nobody,${base}` },
    ])
  })

  it('LDAP-04: a missing entry of shared roots is warned about, wherever it is named', async () => {
    const about = async (text: string) =>
      (await loadConfig((await confFile(text)).file)).warnings
        .filter(({ option }) => option === 'ldap_shared_folders_dn')
        .map(({ file }) => file)
    expect(await about(leadTo(slapd.url))).toEqual([])
    expect(await about(other(leadTo(slapd.url), 'poor.myisp.net'))).toEqual(['cn=Nowhere,o=myisp'])
    expect(
      await about(leadTo(slapd.url, '<ldap_shared_folders_dn>cn=Nobody,o=myisp</ldap_shared_folders_dn>')),
    ).toEqual(['cn=Nobody,o=myisp'])
  })

  it('errors name the entry and the attribute, and are those of ms.conf', async () => {
    const { file, cache } = await confFile(other(leadTo(slapd.url), 'wrong.myisp.net'))
    const dn = serverDn.replace('mail.myisp.net', 'wrong.myisp.net')
    expect((await errorsOf(loadConfig(file))).sort()).toEqual([
      `${dn}: mboxImapTimeout (imap_timeout): 20 is below the minimum 30; valid is a whole number from 30 to 1440 (minutes)`,
      expect.stringContaining(`${dn}: mboxListeners (imap_port): 99999 is above the maximum 65535`),
      `${dn}: mboxListeners: "http://a/" is not a listener; write imap, imaps, pop, pop3s, lmtp, sieve, isode.event, isode.log with host and port, as imap://192.0.2.1:143`,
    ])
    // LDAP-09: what is wrong is not remembered.
    await expect(stat(cache)).rejects.toThrow('ENOENT')
    expect((await errorsOf(loadConfig((await confFile(other(leadTo(slapd.url), 'nobody'))).file))).join()).toContain(
      'there is no entry cn=nobody',
    )
  })
})

describe('when the directory is away', () => {
  const away = async () => `ldap://127.0.0.1:${await freePort()}`

  it('LDAP-08 C-02: without a memory the configuration is an error, after ldap_connect_retries rounds with pauses (LDAP-06)', async () => {
    const pauses: number[] = []
    const clock: Clock = {
      ...systemClock,
      sleep: async (ms) => {
        pauses.push(ms)
      },
    }
    const text = leadTo(await away())
      .replace('>2<', '>3<')
      .replace('pause>0<', 'pause>7<')
    const { file } = await confFile(text)
    const [message] = await errorsOf(loadConfig(file, { patient: true, clock }))
    expect(message).toMatch(
      /config_location: no server has given the configuration \(ldap:.*ECONNREFUSED.*none is remembered/,
    )
    expect(message).not.toContain(service.password)
    expect(pauses).toEqual([7000, 7000])
  })

  it('LDAP-06: servers are asked in their order; those that are away are passed over', async () => {
    const { file } = await confFile(leadTo(`${await away()} ${slapd.url}`))
    expect((await loadConfig(file)).config.get('ms_user')).toBe('pp')
  })

  it('LDAP-06: a server that hangs, before or behind the bind, costs its time limit', async () => {
    const silent = createServer()
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void silent.close())
    const at = silent.address() as { port: number }
    const text = leadTo(`ldap://127.0.0.1:${at.port} ${slapd.url}`, '<sasl><ldapdb_timeout>1</ldapdb_timeout></sasl>')
    const { file } = await confFile(text)
    expect((await loadConfig(file)).config.get('ms_user')).toBe('pp')
  })

  it('LDAP-07 LDAP-09 C-02: every load writes the memory, and it counts when no server answers: ended, hung, back', async () => {
    const own = await startSlapd({ entries: appendixC })
    onTestFinished(() => own.stop())
    const { file, cache } = await confFile(leadTo(own.url, '<sasl><ldapdb_timeout>1</ldapdb_timeout></sasl>'))
    const load = (patient = false) => loadConfig(file, { patient })
    const first = await load()
    const kept = await stat(cache)
    expect([kept.mode & 0o777, kept.uid]).toEqual([0o600, process.geteuid?.()])

    own.signal('SIGSTOP')
    const hung = await load(true)
    expect([hung.config.get('ms_user'), hung.directory]).toEqual(['pp', { ...first.directory, isCached: true }])
    expect(hung.warnings.map(formatFinding).join()).toMatch(/config_location: no server has given .* counts, from /)
    own.signal('SIGCONT')

    setServer(own, 'uid: other')
    expect((await load()).config.get('ms_user')).toBe('other')
    await own.halt()
    const ended = await load()
    expect([ended.config.get('ms_user'), ended.directory?.isCached]).toEqual(['other', true])
    await own.resume()
    expect((await load()).directory?.isCached).toBe(false)
  })

  it('SRV-07: ldap_bind_pwd may be encrypted; neither it nor its clear form is in what is remembered', async () => {
    const { file, cache } = await confFile('')
    const key = { passphrase: '1234567890abcABC', salt: newSalt() }
    await writeKeyFile(keyFileOf(file, 'isode.mbox'), key, undefined)
    const verifier = verifierOf(await keyOf(key.passphrase, key.salt), key.salt)
    const info = `<servpass:info service="isode.mbox" verifier="${verifier}"/>`
    const text = leadTo(slapd.url, info).replace('<ldap_bind_pwd>', "<ldap_bind_pwd servpass:encrypt='true'>")
    await writeFile(file, text)
    expect(await encryptFile(file, key)).toBe(1)
    expect(await readFile(file, 'utf8')).not.toContain(service.password)
    expect((await loadConfig(file)).config.get('ms_user')).toBe('pp')
    expect(await readFile(cache, 'utf8')).not.toMatch(/service secret|servpass|userPassword/i)
  })

  it('LDAP-09: a service that is not root any more leaves what root remembers', async () => {
    // Only root can become another.
    if (process.geteuid?.() !== 0) return
    const { file, cache } = await confFile(leadTo(slapd.url))
    await loadConfig(file)
    await chmod(dirname(cache), 0o777)
    await chmod(file, 0o644)
    const before = await readFile(cache, 'utf8')
    setServer(slapd, 'isodeMboxLoginAlert: another')
    const module = pathToFileURL(resolve(import.meta.dirname, '../../../src/config/ms-conf.ts')).href
    const code = `import { loadConfig } from ${JSON.stringify(module)}
      process.setgid('nogroup'); process.setuid('nobody')
      const { config, warnings } = await loadConfig(${JSON.stringify(file)})
      console.log(config.get('login_alert'), warnings.filter(({ option }) => option === 'config_cache').length)`
    expect(execFileSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' })).toBe(
      'another 0\n',
    )
    expect(await readFile(cache, 'utf8')).toBe(before)
    expect((await stat(cache)).uid).toBe(0)
  })

  it('LDAP-07: a memory that is damaged, of another server, or open to others is none', async () => {
    const { file, cache } = await confFile(leadTo(slapd.url))
    await loadConfig(file)
    const good = await readFile(cache, 'utf8')
    const broken = (await readFile(file, 'utf8')).replace(slapd.url, await away())
    const refused = async (reason: string | RegExp) => expect((await errorsOf(loadConfig(file))).join()).toMatch(reason)
    await writeFile(file, broken)
    await refused(/of another server or directory/)
    for (const text of [
      '',
      '{',
      '[]',
      good.slice(0, -20),
      good.replace('"server"', '"sever"'),
      good.replace('["pp"]', '[1]'),
    ]) {
      await writeFile(cache, text)
      await refused(/is not a cached configuration/)
    }
    await chmod(cache, 0o666)
    await refused(/could have been written by others/)
    await rm(cache)
    await mkdir(cache)
    await refused(/is not a cached configuration|EISDIR/)
  })

  it('LDAP-09: a memory that can not be written is a warning', async () => {
    const { file } = await confFile(leadTo(slapd.url).replace('>cache<', '>missing/cache<'))
    const { warnings } = await loadConfig(file)
    expect(warnings.map(formatFinding).join('\n')).toMatch(/config_cache: .*missing\/cache can't be written \(ENOENT\)/)
  })
})
