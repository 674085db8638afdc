import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configOf, diffConfig } from '#src/config/config.ts'
import { ConfigError, formatFinding } from '#src/config/finding.ts'
import { listenersOf } from '#src/config/listeners.ts'
import { checkConfig, loadConfig, parseConfig } from '#src/config/ms-conf.ts'

const file = '/etc/example/ms.conf'
const read = (body: string, top = 'ms_options') => parseConfig(Buffer.from(`<${top}>\n${body}\n</${top}>\n`), file)
const findings = (body: string) => read(body).findings.map(formatFinding)
const config = (body: string) => {
  const result = read(body)
  if (result.config === undefined) throw new Error(result.findings.map(formatFinding).join('\n'))
  return result.config
}

describe('reading ms.conf (LDAP-15)', () => {
  it('takes values of every type, and defaults', () => {
    const read = config(`<imap_timeout> 60 </imap_timeout><gateway_mode>TRUE</gateway_mode>
      <ms_syncd_protocol>pop3s</ms_syncd_protocol><userdir>mail/./user</userdir>
      <login_alert>a &lt; b &#228; <![CDATA[&amp;]]></login_alert><tls_key_password> a b </tls_key_password>`)
    expect(read.get('imap_timeout')).toBe(60)
    expect(read.get('gateway_mode')).toBe(true)
    expect(read.get('ms_syncd_protocol')).toBe('pops')
    expect(read.get('userdir')).toBe('/etc/example/mail/user')
    expect(read.get('login_alert')).toBe('a < b ä &amp;')
    expect(read.get('tls_key_password')).toBe(' a b ')
    expect(read.get('pop_timeout')).toBe(10)
    expect(read.get('ms_syncd_host')).toBeUndefined()
    expect([read.isSet('imap_timeout'), read.isSet('pop_timeout')]).toEqual([true, false])
  })

  it.each([
    ["<domain_map domain='a.example'/>", 'lacks the attribute local_addr'],
    ["<domain_map local_addr='1.1.1.1'/>", 'lacks the attribute domain'],
    ["<domain_map local_addr='' domain='a.example'/>", 'lacks the attribute local_addr'],
    ["<domain_map local_addr='eth0' domain='a.example'/>", '"eth0" is not an address of an interface'],
    ["<domain_map local_addr='1.1.1.1' domain='a b'/>", '"a b" is not a domain'],
    ["<domain_map local_addr='1.1.1.1' domain='a' port='1'/>", 'has the unknown attribute port'],
    [
      "<domain_map local_addr='2001:db8:0::1' domain='a'/><domain_map local_addr='2001:DB8::1' domain='b'/>",
      '2001:db8::1 has two domains',
    ],
  ])('CAN-05 refuses %s', (body, message) => {
    expect(read(body).config).toBeUndefined()
    expect(findings(body).join()).toContain(`domain_map: ${message}`)
  })

  it.each([
    ["<domain_rule quota_limit='1'/>", 'lacks the attribute domain'],
    ["<domain_rule domain='a b'/>", '"a b" is not a domain'],
    ["<domain_rule domain='a' quota='1'/>", 'has the unknown attribute quota'],
    ["<domain_rule domain='a' quota_limit='much'/>", 'quota_limit "much" is not a whole number'],
    ["<domain_rule domain='a' quota_messages='-1'/>", 'quota_messages "-1" is not a whole number'],
    ["<domain_rule domain='a'><user name='b'/></domain_rule>", 'has an element <user> inside'],
    ["<domain_rule domain='a'><admin/></domain_rule>", '<admin> lacks the attribute name'],
    ["<domain_rule domain='a.example'/><domain_rule domain='A.example'/>", 'A.example has two rules'],
  ])('MST-02, MST-05 refuses %s', (body, message) => {
    expect(read(body).config).toBeUndefined()
    expect(findings(body).join()).toContain(`domain_rule: ${message}`)
  })

  it('MST-02, MST-05 takes the rule of a domain as it is given', () => {
    const body = "<domain_rule domain='Ä.example' quota_limit='0'><admin name='boss'/><admin name='b@c'/></domain_rule>"
    expect(config(body).all('domain_rule')).toEqual([
      { domain: 'Ä.example', quotaLimit: 0, quotaMessages: undefined, admins: ['boss', 'b@c'] },
    ])
  })

  it('CAN-05 takes an address in any spelling as sockets tell it', () => {
    const addresses = ['192.0.2.1', '::FFFF:192.0.2.2', '2001:DB8:0:0::1', 'FE80::1%eth0']
    const body = addresses.map((address) => `<domain_map local_addr='${address}' domain='a.example'/>`).join('')
    expect(
      config(body)
        .all('domain_map')
        .map(({ localAddr }) => localAddr),
    ).toEqual(['192.0.2.1', '192.0.2.2', '2001:db8::1', 'fe80::1%eth0'])
  })

  it('IMAP-01, IX-11: port 143 on all interfaces, 993 for IMAPS when it is enabled', () => {
    expect(listenersOf(configOf(), 'imap')).toEqual([{ host: '', port: 143 }])
    expect(listenersOf(configOf({ enable_imaps: true }), 'imaps')).toEqual([{ host: '', port: 993 }])
    expect(configOf().get('enable_imaps')).toBe(false)
  })

  it('IMAP-14: use_mmap is taken, and what it is for is said', () => {
    expect(findings('<use_mmap>false</use_mmap>').join()).toMatch(/use_mmap.*message files are streamed/)
  })

  it('CAN-06 pairs hosts with ports', () => {
    const two = config(
      '<imap_host>192.0.2.1</imap_host><imap_port>1143</imap_port><imap_host>::1</imap_host><imap_port>2143</imap_port>',
    )
    expect(listenersOf(two, 'imap')).toEqual([
      { host: '192.0.2.1', port: 1143 },
      { host: '::1', port: 2143 },
    ])
    expect(listenersOf(config('<imap_host>a</imap_host><imap_host>b</imap_host>'), 'imap')).toEqual([
      { host: 'a', port: 143 },
      { host: 'b', port: 143 },
    ])
    expect(listenersOf(configOf(), 'msevent')).toEqual([{ path: '/var/run/mseventd' }])
    expect(
      findings(
        '<imap_host>a</imap_host><imap_host>b</imap_host><imap_port>1</imap_port><imap_port>2</imap_port><imap_port>3</imap_port>',
      ),
    ).toEqual([
      `${file}:2: imap_port: imap_host is given 2 times and imap_port 3 times; give one port for each host, or a single port`,
    ])
  })

  it.each([
    [
      '<imap_timeout>20</imap_timeout>',
      ':2: imap_timeout: 20 is below the minimum 30; valid is a whole number from 30 to 1440 (minutes)',
    ],
    [
      '\n\n<imap_timeout>x</imap_timeout>',
      ':4: imap_timeout: "x" is not a whole number; valid is a whole number from 30 to 1440 (minutes)',
    ],
    ['<ms_syncd_host></ms_syncd_host>', ':2: ms_syncd_host: is empty; valid is a host name or an IP address'],
    [
      `<msevent_host>/${'x'.repeat(107)}</msevent_host>`,
      ':2: msevent_host: has 108 octets, and the path of a socket at most 107; valid is a host name, an IP address, empty for all interfaces, or the absolute path of a socket',
    ],
    [
      '<imap_port>65536</imap_port>',
      ':2: imap_port: 65536 is above the maximum 65535; valid is a whole number from 0 to 65535',
    ],
    [
      '<ms_sync_interval>0</ms_sync_interval>',
      ':2: ms_sync_interval: 0 is below the minimum 1; valid is a whole number from 1 to 604800 (seconds), or -1',
    ],
    ['<gateway_mode>yes</gateway_mode>', ':2: gateway_mode: "yes" is neither true nor false; valid is true or false'],
    ['<gateway_mode/>', ':2: gateway_mode: "" is neither true nor false; valid is true or false'],
    [
      '<ms_syncd_protocol>smtp</ms_syncd_protocol>',
      ':2: ms_syncd_protocol: "smtp" is not known; valid is one of pop, pops, imap, imaps, pop3, pop3s, imap4',
    ],
    [
      '<userdir> </userdir>',
      ':2: userdir: is empty; valid is a path, absolute or relative to the directory of this file',
    ],
    [
      '<imap_host>/run/x</imap_host>',
      ':2: imap_host: "/run/x" is not a host name or address; valid is a host name, an IP address, or empty for all interfaces',
    ],
    [
      '<imap_server_admin>postmaster</imap_server_admin>',
      ':2: imap_server_admin: "postmaster" is not a URI; valid is a URI, such as mailto:postmaster@example.org',
    ],
    ['<domain\n x="1">a</domain>', ':3: domain: has an attribute x; valid is a domain name'],
    ['<domain>\n<b/></domain>', ':3: domain: has another element inside; valid is a domain name'],
    ['<domain>a</domain>\n<domain>b</domain>', ':3: domain: is set twice, first in line 2; remove one'],
    [
      "<domain_map local_addr='1.1.1.1'/>",
      ":2: domain_map: lacks the attribute domain; valid is <domain_map local_addr='192.0.2.1' domain='example.com'/>",
    ],
    [
      '<accessible_services>imap=yes</accessible_services>',
      ':2: accessible_services: "yes" is not an access; valid is service=access pairs separated by commas; services are imap, pop, sieve, access is allow, grant or deny',
    ],
    [
      'stray',
      ':1: <ms_options> holds text outside of options; remove it, or put it into the option that it belongs to',
    ],
    [
      '<enable_imaps>true</enable_imaps>',
      ':2: enable_imaps: needs a certificate; set tls_cert_file, or this option to false',
    ],
    [
      '<thread_pool_min>9</thread_pool_min>',
      ':2: thread_pool_min: is above thread_pool_max; lower it, or raise thread_pool_max',
    ],
  ])('refuses %s', (body, message) => {
    expect(read(body).config).toBeUndefined()
    expect(findings(body)).toEqual([`${file}${message}`])
  })

  it('GW-01 refuses gateway_mode together with auto_migrate', () => {
    expect(findings('<gateway_mode>true</gateway_mode>\n<auto_migrate>true</auto_migrate>')).toContain(
      `${file}:3: auto_migrate: gateway_mode and auto_migrate exclude each other; set one of them to false`,
    )
  })

  it.each([
    [
      '<imap_timeuot>40</imap_timeuot>',
      ':2: imap_timeuot: is not an option; did you mean imap_timeout? It is ignored.',
    ],
    ['<colour>red</colour>', ':2: colour: is not an option; it is ignored'],
    ['<mech_list>PLAIN</mech_list>', ':2: mech_list: belongs inside of <sasl>; it is ignored here'],
    ['<sasl>\n<domain>a.example</domain></sasl>', ':3: domain: belongs outside of <sasl>; it is ignored here'],
    ['<ldap_basedn>o=a</ldap_basedn>', ':2: ldap_basedn: has no effect unless config_location names a directory'],
    [
      '<pop_timeout>5</pop_timeout>',
      ':2: pop_timeout: is below the 10 minutes that RFC 1939 demands; some clients will lose their sessions',
    ],
  ])('warns of %s', (body, message) => {
    expect(read(body).config).toBeDefined()
    expect(findings(body)).toEqual([`${file}${message}`])
  })

  it('is silent about an option without effect that keeps its default', () => {
    expect(findings('<lmtp_autocreate>true</lmtp_autocreate><sasl><ldapdb_rc>x</ldapdb_rc></sasl>')).toEqual([
      expect.stringMatching(/ms\.conf:2: ldapdb_rc: has no effect: no such library is used/),
    ])
  })

  it('reports everything that is wrong, errors first', () => {
    expect(findings('<colour/>\n<imap_port>x</imap_port>\n<pop3_port>y</pop3_port>')).toEqual([
      `${file}:3: imap_port: "x" is not a whole number; valid is a whole number from 0 to 65535`,
      `${file}:4: pop3_port: "y" is not a whole number; valid is a whole number from 0 to 65535`,
      expect.stringContaining(':2: colour'),
    ])
  })

  it('says which mechanisms of mech_list are not there', () => {
    expect(findings('<sasl><mech_list>GSSAPI PLAIN ntlm</mech_list></sasl>')).toEqual([
      expect.stringContaining('mech_list: has GSSAPI, which this product does not have; it is not offered'),
      expect.stringContaining('mech_list: has NTLM, which'),
    ])
  })

  it('never shows a password', () => {
    const secret = 'hunter2-secret'
    const shown = [
      ...findings(`<tls_key_password>${secret}<x/></tls_key_password>`),
      ...findings(`<tls_key_password servpass:encrypt='true'>${secret}</tls_key_password>`),
      ...findings(`<sasl><auxprop_plugin>ldapdb</auxprop_plugin><ldapdb_pw>${secret}</ldapdb_pw></sasl>`),
      ...findings(`<ldap_bind_pwd>${secret}</ldap_bind_pwd><ldap_bind_pwd>${secret}</ldap_bind_pwd>`),
    ]
    expect(shown.length).toBe(5)
    expect(shown.join('\n')).not.toContain(secret)
  })

  it('refuses another top element', () => {
    expect(read('', 'xmldb').findings.map(formatFinding)).toEqual([
      `${file}:1: the top element is <xmldb>; it must be <ms_options>`,
    ])
  })
})

describe('loading ms.conf', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'config-'))
  })
  afterAll(() => rm(directory, { recursive: true }))

  it('reads a file and gives its warnings', async () => {
    const path = join(directory, 'ms.conf')
    await writeFile(path, '<ms_options>\n<userdir>user</userdir><colour/></ms_options>')
    const { config, warnings } = await loadConfig(path)
    expect(config.file).toBe(path)
    expect(config.get('userdir')).toBe(join(directory, 'user'))
    expect(warnings.map(({ severity, line }) => [severity, line])).toEqual([['warning', 2]])
    expect((await checkConfig(path)).findings).toEqual(warnings)
  })

  it('checks the ms_sync.xml that it names as well', async () => {
    const path = join(directory, 'gateway.conf')
    const body = '<gateway_mode>true</gateway_mode><colour/>'
    await writeFile(path, `<ms_options>${body}</ms_options>`)
    expect((await checkConfig(path)).findings.map(formatFinding)).toEqual([
      `${path}:1: colour: is not an option; it is ignored`,
      `${path}: ms_syncd_host: is not set, and there are no records of users either, so nobody can log in; set it to the host of the backend`,
    ])
    await writeFile(path, `<ms_options>${body}<ms_sync_userdb>users.xml</ms_sync_userdb></ms_options>`)
    await writeFile(join(directory, 'users.xml'), '<xmldb>\n<user frontend_id="a"/></xmldb>')
    expect((await checkConfig(path)).findings.map(formatFinding)).toEqual([
      `${join(directory, 'users.xml')}:2: host: is missing, and ms_syncd_host is not set either; set one of them`,
      `${path}:1: colour: is not an option; it is ignored`,
    ])
  })

  it('names a file that is missing, too big or broken', async () => {
    const missing = join(directory, 'missing')
    await expect(loadConfig(missing)).rejects.toThrow(`${missing}: can't be read: ENOENT`)
    const big = join(directory, 'big')
    await writeFile(big, Buffer.alloc(1024 * 1024 + 1, 0x20))
    await expect(loadConfig(big)).rejects.toThrow(`${big}: has 1048577 octets; at most 1048576 are read`)
    const broken = join(directory, 'broken')
    await writeFile(broken, '<ms_options>\n<a></ms_options>')
    const error = await loadConfig(broken).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(ConfigError)
    expect(await checkConfig(broken)).toEqual({ config: undefined, findings: (error as ConfigError).findings })
  })

  it('LDAP-14 means built-in defaults without a file', async () => {
    const { config, warnings } = await loadConfig(undefined)
    expect([config.file, config.get('imap_port'), warnings]).toEqual([undefined, 143, []])
  })
})

describe('configOf', () => {
  it('overrides defaults', () => {
    const config = configOf({ imap_port: 0, pop3_port: [1, 2], accessible_services: { imap: 'deny' } })
    expect([config.get('imap_port'), config.all('pop3_port'), config.get('accessible_services')]).toEqual([
      0,
      [1, 2],
      { imap: 'deny' },
    ])
    expect([config.isSet('imap_port'), config.isSet('imaps_port')]).toEqual([true, false])
    expect(() => configOf(JSON.parse('{"colour":1}'))).toThrow('colour is not an option')
  })
})

describe('diffConfig', () => {
  it('names what changed and what needs a restart', () => {
    const before = configOf({ imap_port: 1143, imap_timeout: 30, domain: 'a.example' })
    const after = configOf({ imap_port: 2143, imap_timeout: 30, domain: 'b.example' })
    expect(diffConfig(before, after)).toEqual({ changed: ['domain', 'imap_port'], restart: ['imap_port'] })
    expect(diffConfig(before, configOf({ imap_port: 1143, domain: 'a.example' })).changed).toEqual([])
  })
})
