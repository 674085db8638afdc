import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadUserDatabase, makeUserDatabase } from '#src/config/backends.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import { ConfigError, formatFinding } from '#src/config/finding.ts'
import { parseUserDatabase } from '#src/config/ms-sync.ts'
import { cpuMicros } from '#test/support/cpu.ts'

const file = '/etc/example/ms_sync.xml'
const parse = (body: string, top = 'xmldb') => parseUserDatabase(Buffer.from(`<${top}>\n${body}\n</${top}>`), file)
const errors = (body: string): readonly string[] => {
  try {
    parse(body)
  } catch (error) {
    if (error instanceof ConfigError) return error.findings.map(formatFinding)
    throw error
  }
  return []
}
const globals: ConfigOverrides = { ms_syncd_host: 'pop.example', ms_syncd_protocol: 'pop' }
const find = (body: string, user: string, userId = user, overrides = globals) =>
  makeUserDatabase(file, parse(body).records).find(user, userId, configOf(overrides))

describe('ms_sync.xml', () => {
  it('UDB-15 a user without a record has the global backend and an unchanged id', () => {
    expect(find('', 'joe', 'joe@a.example')).toEqual({
      master: {
        protocol: 'pop',
        host: 'pop.example',
        port: 110,
        user: 'joe',
        password: undefined,
        mailbox: 'INBOX',
        intervalSeconds: 300,
        startTls: 'offered',
        tlsVerify: true,
      },
      extra: [],
    })
    expect(find('', 'joe', 'joe@a.example', {})).toBeUndefined()
  })

  it('UDB-02 UDB-05 UDB-07 UDB-08 UDB-09 UDB-10 UDB-11 takes what a record sets', () => {
    const body = `<user frontend_id='joe@a.example' backend_id='j' host='b.example' port='3110' protocol='pop3s'
      password=' p&#228; ' mailbox='Old/' login_delay='900' starttls='required' tls_verify='false'/>`
    expect(find(body, 'joe', 'joe@a.example')?.master).toEqual({
      protocol: 'pops',
      host: 'b.example',
      port: 3110,
      user: 'j',
      password: ' pä ',
      mailbox: 'Old/',
      intervalSeconds: 900,
      startTls: 'required',
      tlsVerify: false,
    })
    expect(
      find("<user frontend_id='a@b' starttls='true'/>", 'a@b', 'a@b', { ...globals, suppress_client_tls: true })?.master
        .startTls,
    ).toBe('offered')
  })

  it.each([
    ['without a record', ''],
    ['with a record of the whole id', "<user frontend_id='joe@a.example' starttls='required'/>"],
    ['with a record of the name', "<user frontend_id='joe'/>"],
    ['with one of the domain', "<user frontend_id='@a.example'/>"],
    ['at a further backend', "<user frontend_id='joe@a.example'><backend host='x.example'/></user>"],
  ])('UDB-03 UDB-15 the id is what the user typed, %s and no backend_id', (_, body) => {
    for (const typed of ['joe', 'joe@a.example', 'joe@A.example']) {
      const backends = find(body, typed, 'joe@a.example')!
      for (const { user } of [backends.master, ...backends.extra]) expect(user).toBe(typed)
    }
  })

  it('takes the domain away with the backend_id @', () => {
    for (const frontendId of ['@a.example', 'joe@a.example'])
      for (const typed of ['joe', 'joe@a.example'])
        expect(find(`<user frontend_id='${frontendId}' backend_id='@'/>`, typed, 'joe@a.example')?.master.user).toBe(
          'joe',
        )
  })

  it('UDB-04 exchanges the domain', () => {
    const body = "<user frontend_id='@a.example' backend_id='@b.example'/>"
    expect(find(body, 'joe@A.example', 'joe@a.example')?.master.user).toBe('joe@b.example')
    expect(find(body, 'joe', 'joe@a.example')?.master.user).toBe('joe@b.example')
    expect(find(body, 'joe@c.example', 'joe@c.example')?.master.user).toBe('joe@c.example')
  })

  it('UDB-02 prefers an exact record to the one of the domain, and folds domains', () => {
    const body = "<user frontend_id='@A.example' host='domain'/><user frontend_id='joe@a.EXAMPLE' host='exact'/>"
    expect(find(body, 'joe@a.example')?.master.host).toBe('exact')
    expect(find(body, 'Joe@a.example')?.master.host).toBe('domain')
    expect(find("<user frontend_id='@bücher.example' host='x'/>", 'joe@xn--bcher-kva.example')?.master.host).toBe('x')
  })

  it('UDB-06 GW-15 takes the port of the record, the global one, the usual one', () => {
    const port = (attributes: string, overrides: ConfigOverrides) =>
      find(`<user frontend_id='a@b' ${attributes}/>`, 'a@b', 'a@b', { ...globals, ...overrides })?.master.port
    expect(port("port='1'", { ms_syncd_port: 2 })).toBe(1)
    expect(port('', { ms_syncd_port: 2 })).toBe(2)
    expect(port("port='0'", { ms_syncd_port: 0 })).toBe(110)
    expect(['pop', 'pop3', 'pops', 'pop3s'].map((protocol) => port(`protocol='${protocol}'`, {}))).toEqual([
      110, 110, 995, 995,
    ])
    expect(['imap', 'imap4', 'imaps'].map((protocol) => port(`protocol='${protocol}'`, {}))).toEqual([143, 143, 993])
  })

  it('UDB-05 UDB-07 takes the global host and protocol where a record has none', () => {
    const master = (body: string) =>
      find(body, 'a@b', 'a@b', { ...globals, ms_syncd_host: 'global.example', ms_syncd_protocol: 'imaps' })?.master
    expect(master("<user frontend_id='a@b' backend_id='x'/>")).toMatchObject({
      host: 'global.example',
      protocol: 'imaps',
      port: 993,
      mailbox: '',
    })
    expect(master("<user frontend_id='a@b' host='own.example' protocol='pop'/>")).toMatchObject({
      host: 'own.example',
      protocol: 'pop',
      mailbox: 'INBOX',
    })
  })

  it('UDB-14 without a directory ms_sync_sasl_lookup changes nothing, and the file counts (C-25)', () => {
    const body = "<user frontend_id='a@b' host='file.example'/>"
    for (const ms_sync_sasl_lookup of [true, false])
      expect(find(body, 'a@b', 'a@b', { ...globals, ms_sync_sasl_lookup })?.master.host).toBe('file.example')
  })

  it('GW-16 STARTTLS is used where it is offered, unless suppress_client_tls says no or require_client_tls more', () => {
    const startTls = (overrides: ConfigOverrides) =>
      find('', 'a@b', 'a@b', { ...globals, ...overrides })?.master.startTls
    expect(startTls({})).toBe('offered')
    expect(startTls({ suppress_client_tls: true })).toBe('never')
    expect(startTls({ require_client_tls: true })).toBe('required')
  })

  it('UDB-12 UDB-13 SYN-03 has further backends beside the master', () => {
    const body = `<user frontend_id='joe@a.example'>
      <backend host='x.example' backend_id='joe.x' password='s' mailbox='X'/><backend protocol='pops' host='y.example' mailbox='Y/'/></user>`
    const backends = find(body, 'joe@a.example')!
    expect(backends.master.host).toBe('pop.example')
    expect(
      backends.extra.map(({ host, port, user, password, mailbox }) => [host, port, user, password, mailbox]),
    ).toEqual([
      ['x.example', 110, 'joe.x', 's', 'X'],
      ['y.example', 995, 'joe@a.example', undefined, 'Y/'],
    ])
  })

  it.each([
    [
      "<user frontend_id='a'>\n<backend frontend_id='b'/></user>",
      ':3: frontend_id: is not allowed in <backend>; only <user> has it',
    ],
    ['<user host="x"/>', ':2: frontend_id: is required in <user>: a user id, or @domain for all its users'],
    ['<group/>', ':2: <group> is in <xmldb>; only <user> and <oauth_provider> may be'],
    [
      "<user frontend_id='a'><user frontend_id='b'/></user>",
      ':2: <user> is in <user>; only empty <backend> elements may be',
    ],
    ["<user frontend_id='a'>text</user>", ':2: <user> holds text; everything is written in attributes'],
    ["<user frontend_id='a@B'/>\n<user frontend_id='a@b'/>", ':3: frontend_id: "a@b" has a record in line 2 already'],
    ["<user frontend_id='a'\nport='x'/>", ':3: port: "x" is not valid; valid is a whole number from 0 to 65535'],
    [
      "<user frontend_id='a' protocol='__proto__'/>",
      ':2: protocol: "__proto__" is not valid; valid is one of pop, pops, imap, imaps, pop3, pop3s, imap4',
    ],
    [
      "<user frontend_id='a' login_delay='0'/>",
      ':2: login_delay: "0" is not valid; valid is a whole number of 1 or more (seconds), or -1 for no polling',
    ],
    [
      "<user frontend_id='a' starttls='maybe'/>",
      ':2: starttls: "maybe" is not valid; valid is true, false or required',
    ],
    ["<user frontend_id='a' password=''/>", ':2: password: is empty; valid is a password'],
    [
      "<user frontend_id='@a' backend_id='joe'/>",
      ':2: backend_id: "joe" would be the one mailbox of all users of "@a"; valid is @domain, @ for none, or no backend_id',
    ],
  ])('UDB-01 UDB-02 UDB-12 refuses %s', (body, message) => {
    expect(errors(body)).toEqual([`${file}${message}`])
  })

  it('UDB-01 refuses another top element', () => {
    expect(() => parse('', 'users')).toThrow(`${file}:1: the top element is <users>; it must be <xmldb>`)
  })

  it('warns of an unknown attribute', () => {
    expect(parse("<user frontend_id='a'\nhots='x'/>").warnings.map(formatFinding)).toEqual([
      `${file}:3: hots: is not an attribute of <user>; did you mean host? It is ignored.`,
    ])
  })
})

describe('loading ms_sync.xml', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'userdb-'))
  })
  afterAll(() => rm(directory, { recursive: true }))

  it('is not needed at the default place, but where it is named', async () => {
    const { database } = await loadUserDatabase(configOf(globals))
    expect(database.file).toBeUndefined()
    const missing = join(directory, 'missing')
    await expect(loadUserDatabase(configOf({ ms_sync_userdb: missing }))).rejects.toThrow(
      `ms_sync_userdb: ${missing} can't be read: ENOENT`,
    )
  })

  it('F33 reads thousands of users, or finds what is wrong with them, in a thread of its own', async () => {
    const path = join(directory, 'many.xml')
    const users = Array.from({ length: 20_000 }, (_, n) => `<user frontend_id='u${n}@a.example' backend_id='${n}'/>\n`)
    await writeFile(path, `<xmldb>${users.join('')}</xmldb>`)
    const config = configOf({ ms_sync_userdb: path, ...globals })
    const { database } = await loadUserDatabase(config)
    expect(database.find('u4711@a.example', 'u4711@a.example', config)?.master.user).toBe('4711')
    // What is left for this thread is to take over what the other one made.
    const parsing = await cpuMicros(() => parse(users.join('')), 3)
    expect(await cpuMicros(() => loadUserDatabase(config), 3)).toBeLessThan(0.7 * parsing)
    await writeFile(path, `<xmldb>${users.join('')}<user/></xmldb>`)
    await expect(loadUserDatabase(config)).rejects.toThrow(`${path}:20001: frontend_id: is required in <user>`)
  })

  it('UDB-09 refuses two IMAP backends of one user that would keep the same mailboxes in step', async () => {
    const path = join(directory, 'same.xml')
    const load = async (second: string) => {
      await writeFile(path, `<xmldb>\n<user frontend_id='a' protocol='imap'>\n<backend ${second}/></user></xmldb>`)
      return await loadUserDatabase(configOf({ ms_sync_userdb: path, ...globals }))
    }
    await expect(load("protocol='imaps'")).rejects.toThrow(
      `${path}:3: mailbox: '' is what the names of another IMAP backend of this user begin with too`,
    )
    expect((await load("protocol='imaps' mailbox='Work/'")).warnings).toEqual([])
    expect((await load("protocol='pop'")).warnings).toEqual([])
  })

  it('wants a host from somewhere, and warns of passwords that everybody can read', async () => {
    const path = join(directory, 'ms_sync.xml')
    await writeFile(path, "<xmldb>\n<user frontend_id='a' password='p'/></xmldb>")
    await expect(loadUserDatabase(configOf({ ms_sync_userdb: path }))).rejects.toThrow(
      `${path}:2: host: is missing, and ms_syncd_host is not set either`,
    )
    await chmod(path, 0o644)
    const config = configOf({ ms_sync_userdb: path, ...globals })
    expect((await loadUserDatabase(config)).warnings.map(formatFinding)).toEqual([
      `${path}: has passwords and is readable by everybody; chmod o-r`,
    ])
    await chmod(path, 0o640)
    expect((await loadUserDatabase(config)).warnings).toEqual([])
  })
})
