/** What users have at a real old server (Dovecot with its quota and acl plugins) beside mail, and have here behind their migration. */
import { chown, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { bring } from '#migrate/beside/bring.ts'
import { beside } from '#migrate/beside/extension.ts'
import { Findings } from '#migrate/beside/findings.ts'
import { Migrations } from '#migrate/records/migrations.ts'
import { openAccounts } from '#src/auth/accounts.ts'
import type { UserId } from '#src/base/ids.ts'
import { makeUserDatabase, type UserDatabase } from '#src/config/backends.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import { parseUserDatabase } from '#src/config/ms-sync.ts'
import { limitsOf } from '#src/server/quota-limits.ts'
import { AwaitedRightsDirectory } from '#src/sharing/awaited-rights.ts'
import { aclOf, deleteAcl } from '#src/sharing/personal-acl.ts'
import { formatRights } from '#src/sharing/rights.ts'
import { metadataOf, putMetadata } from '#src/store/metadata.ts'
import { scriptsOf } from '#src/store/scripts.ts'
import { gatewayScene } from '#test/gateway/ms_syncd/support.ts'
import { type Dovecot, startDovecot } from '#test/support/dovecot.ts'
import { RawImap } from '#test/support/raw-imap.ts'

const extra = `
mail_plugins = $mail_plugins quota acl
mail_attribute_dict = file:%h/attributes
protocol imap {
  mail_plugins = $mail_plugins imap_quota imap_acl
  imap_metadata = yes
}
plugin {
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage=70M:messages=5000
  acl = vfile
  acl_anyone = allow
}
`
let dovecot: Dovecot
beforeAll(async () => {
  dovecot = await startDovecot({
    users: { joe: 'secret', ann: 'secret', bob: 'secret' },
    protocols: ['imap', 'sieve'],
    extra,
  })
  await using joe = await RawImap.connect(dovecot.imapPort)
  await joe.login('joe', 'secret')
  for (const command of [
    'CREATE Projects',
    'CREATE Projects/2026',
    'CREATE Sent',
    'SETACL Projects ann lrswi',
    'SETACL Projects -ann w',
    'SETACL Projects bob@a.example lrswipkxtea',
    'SETACL Projects/2026 ann lrk',
    'SETACL Sent anyone lr',
    'SETACL Sent $staff lr',
    'SETACL Sent other@elsewhere.example lr',
    'SETMETADATA Projects (/private/comment "Mine" /shared/comment "Ours" /private/vendor/kolab/color "FF0000")',
    `SETMETADATA Projects (/private/large "${'x'.repeat(20_000)}")`,
    'SETMETADATA Sent (/shared/comment "Gone out")',
  ])
    await joe.command(command)
})
afterAll(() => dovecot?.stop())

const idOf = (user: string) => `${user}@a.example` as UserId

/** One life of ms_syncd, or several with one `directory`. */
const syncd = async (overrides: ConfigOverrides = {}, users: UserDatabase = makeUserDatabase(undefined, [])) => {
  const directory = await mkdtemp(join(tmpdir(), 'beside-'))
  const accounts = openAccounts(join(directory, 'accounts'))
  const options = {
    gateway_mode: false,
    auto_migrate: true,
    ms_syncd_protocol: 'imap',
    ms_syncd_port: dovecot.imapPort,
    migration_sieve_port: dovecot.sievePort!,
    ...overrides,
  } as const
  const scene = await gatewayScene(dovecot.imapPort, options, users, accounts)
  const parts = {
    runtime: { config: configOf(options), log: scene.log, clock: scene.clock },
    gateway: scene.gateway,
    accounts,
    shared: (name: string) => join(directory, name),
  } as unknown as Parameters<typeof beside>[0]
  const migrations = await Migrations.open(parts)
  const extension = await beside(parts, migrations)
  await extension.started?.()
  onTestFinished(async () => {
    await extension.stop()
    await migrations.stop()
    await scene[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })
  const { store } = scene.test
  return {
    ...scene,
    options,
    store,
    parts: { gateway: scene.gateway, accounts, awaited: new AwaitedRightsDirectory(join(directory, 'awaited-rights')) },
    records: migrations.records,
    accounts,
    extension,
    move: (user: string) => scene.gateway.login(user, idOf(user), Buffer.from('secret')),
    again: (user: string) =>
      scene.gateway.migrate(
        { userId: idOf(user), given: user, account: { properties: [], by: 'operator' } },
        Buffer.from('secret'),
      ),
    record: async (user: string) => (await migrations.records.find(idOf(user)))!,
    /** As `GETACL` here would list them. */
    rights: async (mailbox: string) => {
      const account = store.account(idOf('joe'))
      const acl = await aclOf(account, (await account.findId(mailbox))!)
      return Object.fromEntries(Array.from(acl, ([who, rights]) => [who, formatRights(rights)]))
    },
    limits: async (user: string) => limitsOf(configOf(options), idOf(user), await accounts.find(idOf(user))),
    awaited: () => readdir(join(directory, 'awaited-rights'), { recursive: true }).catch(() => []),
  }
}

const letters: Readonly<Record<string, string>> = {
  lookup: 'l',
  read: 'r',
  'write-seen': 's',
  write: 'w',
  insert: 'i',
  post: 'p',
  create: 'k',
  delete: 'x',
  'write-deleted': 't',
  expunge: 'e',
}

/** What Dovecot's own tool says that somebody has on a mailbox of joe's; `sign`: `-` for what is taken away. */
const rightsThere = (mailbox: string, id: string, sign: '' | '-' = '') => {
  const rows = dovecot.doveadm('-f', 'tab', 'acl', 'get', '-u', 'joe', mailbox).split('\n')
  const names = rows
    .map((row) => row.split('\t'))
    .find(([name]) => name === `user=${id}`)![2]!
    .split(' ')
  return Object.entries(letters)
    .filter(([name]) => names.includes(sign + name))
    .map(([, letter]) => letter)
    .join('')
}

it('gives the rights of users who are here, and those of others when they come; the rest is told', async () => {
  const at = await syncd()
  await at.move('ann')
  await at.move('joe')
  expect(await at.rights('Projects')).toEqual({
    'ann@a.example': rightsThere('Projects', 'ann'),
    '-ann@a.example': rightsThere('Projects', 'ann', '-'),
  })
  // Dovecot tells k as k and c, which here would be k and x.
  expect(await at.rights('Projects/2026')).toMatchObject({
    'ann@a.example': rightsThere('Projects/2026', 'ann'),
  })
  expect(await at.rights('Sent')).toEqual({})
  const { given, notGiven } = (await at.record('joe')).beside!
  expect(given.filter((line) => line.startsWith('rights:'))).toHaveLength(3)
  const told = (...words: string[]) => notGiven.filter((line) => words.every((word) => line.includes(word)))
  expect(told('bob@a.example is not here yet', 'Projects')).toHaveLength(1)
  expect(told('"bob@a.example"', 'nobody but the owner has a')).toHaveLength(1)
  expect(told('"anyone" has', 'Sent')).toHaveLength(1)
  expect(told('"$staff" has', 'groups')).toHaveLength(1)
  expect(told('other@elsewhere.example is not here yet')).toHaveLength(1)
  expect(at.lines.filter(({ message }) => message === 'not taken over from the old server')).toHaveLength(
    notGiven.length,
  )

  // The owner goes on working with his mailboxes, and another one gets the name.
  const own = at.store.account(idOf('joe'))
  await own.rename('Projects', 'Work')
  await own.create('Projects')
  await at.move('bob')
  await at.until(async () => 'bob@a.example' in (await at.rights('Work')))
  expect(await at.rights('Projects')).toEqual({})
  expect(await at.rights('Work')).toMatchObject({
    'bob@a.example': rightsThere('Projects', 'bob@a.example'),
  })
  await at.until(async () => {
    const { given, notGiven } = (await at.record('joe')).beside!
    const isTold = (lines: readonly string[]) => lines.some((line) => /bob@a\.example (?:has|is not here)/.test(line))
    return isTold(given) && !isTold(notGiven)
  })
  await at.until(async () => (await at.awaited()).filter((name) => name.endsWith('.json')).length === 1)
})

/** As joe's client keeps them at the old server. */
const scriptsThere = async (active: string, scripts: Readonly<Record<string, string>>) => {
  const directory = join(dovecot.home('joe'), 'sieve')
  const owner = await stat(dovecot.home('joe'))
  const own = async (path: string) => chown(path, owner.uid, owner.gid)
  await mkdir(directory, { recursive: true })
  await own(directory)
  for (const [name, text] of Object.entries(scripts)) {
    await writeFile(join(directory, `${name}.sieve`), text)
    await own(join(directory, `${name}.sieve`))
  }
  const link = join(dovecot.home('joe'), '.dovecot.sieve')
  await rm(link, { force: true })
  await symlink(`sieve/${active}.sieve`, link)
}

it('MIG: Sieve scripts come along once, the active one active, and what is made of them here stays', async () => {
  const main = 'require "fileinto";\r\nif header :contains "subject" "[x]" { fileinto "Projects"; }\r\n'
  const large = `# ${'x'.repeat(40_000)}\r\nkeep;\r\n`
  const vendor = 'require "vnd.dovecot.filter";\r\nkeep;\r\n'
  await scriptsThere('Zuhause ä', { 'Zuhause ä': main, large, vendor, empty: '' })
  const at = await syncd({ sieve_maxscripts: 2 })
  await at.move('joe')
  const scripts = scriptsOf(at.store.account(idOf('joe')))
  expect(await scripts.findActive()).toEqual({ name: 'Zuhause ä', text: main })
  expect(await scripts.get('large')).toBe(large)
  expect(await scripts.get('vendor')).toBe(vendor)
  const { given, notGiven } = (await at.record('joe')).beside!
  expect(given).toContain(
    'Sieve scripts: 4, active: "Zuhause ä"; 4 are here, and with sieve_maxscripts of 2 the user adds none',
  )
  expect(given).toContainEqual(expect.stringMatching(/^Sieve script "large": of 400\d\d octets; above/))
  expect(notGiven).toContainEqual(
    expect.stringMatching(/^Sieve script "vendor": it can not be run here, and is kept as it is \(line 1: .*vnd/),
  )

  // The user works on here, and the old server gets a script too that nobody here has touched.
  await scripts.put('Zuhause ä', 'keep;', { scripts: 9, octets: 99_999 })
  await scripts.activate(undefined)
  await scripts.remove('large')
  await scripts.put('mine', 'keep;', { scripts: 9, octets: 99_999 })
  await scriptsThere('Zuhause ä', { mine: 'discard;', late: 'keep;' })
  await at.again('joe')
  expect(await scripts.list()).toEqual([
    { name: 'Zuhause ä', octets: 5, isActive: false },
    { name: 'empty', octets: 0, isActive: false },
    { name: 'late', octets: 5, isActive: false },
    { name: 'mine', octets: 5, isActive: false },
    { name: 'vendor', octets: vendor.length, isActive: false },
  ])
  expect((await at.record('joe')).beside!.notGiven).toContain(
    'Sieve script "mine": another one of this name is here, and stays',
  )
})

it('an active script that can not be run here is kept, and filters nothing', async () => {
  await scriptsThere('vendor', { vendor: 'require "vnd.dovecot.filter";' })
  const at = await syncd()
  await at.move('joe')
  const scripts = scriptsOf(at.store.account(idOf('joe')))
  expect(await scripts.findActive()).toBeUndefined()
  expect(await scripts.get('vendor')).toBe('require "vnd.dovecot.filter";')
  expect((await at.record('joe')).beside!.notGiven).toContainEqual(
    expect.stringMatching(/^Sieve script "vendor": it was the active one, .*line 1/),
  )
})

it('gives annotations, and leaves what is said here already', async () => {
  const at = await syncd()
  await at.move('joe')
  const account = at.store.account(idOf('joe'))
  const of = async (name: string) => {
    const id = (await account.findId(name))!
    return { place: 'here', id } as const
  }
  expect(Object.fromEntries(await metadataOf(account, await of('Projects')))).toEqual({
    '/private/comment': 'Mine',
    '/shared/comment': 'Ours',
    '/private/vendor/kolab/color': 'FF0000',
  })
  const { given, notGiven } = (await at.record('joe')).beside!
  expect(given).toContain('annotations: 4 of 2 mailboxes')
  expect(notGiven).toContain('annotations: one of 20000 octets; here they have at most 16384 ("Projects")')
  await putMetadata(account, await of('Sent'), new Map([['/shared/comment', undefined]]))
  await at.again('joe')
  expect((await metadataOf(account, await of('Sent'))).size).toBe(0)
})

it('gives the quota, unless something else is said here', async () => {
  const [, storage, messages] = /STORAGE\t\d+\t(\d+)[\s\S]*MESSAGE\t\d+\t(\d+)/
    .exec(dovecot.doveadm('-f', 'tab', 'quota', 'get', '-u', 'joe'))!
    .map(Number)
  const open = await syncd()
  await open.move('joe')
  expect(await open.limits('joe')).toEqual({
    storage: { value: storage, from: 'user' },
    messages: { value: messages, from: 'user' },
  })
  expect((await open.record('joe')).beside!.given).toContain(`quota: ${storage} KB`)

  const said = await syncd({ quota_limit: 1_000_000 })
  await said.move('joe')
  expect(await said.limits('joe')).toMatchObject({
    storage: { value: 1_000_000, from: 'server' },
    messages: { value: messages },
  })
  expect((await said.record('joe')).beside!.notGiven).toContainEqual(
    expect.stringContaining(`quota: ${storage} KB there; here it is 1000000 by the configuration`),
  )
})

it('asks for nothing that migration_keep does not name', async () => {
  const at = await syncd({ migration_keep: [] })
  await at.move('ann')
  await at.move('joe')
  expect((await at.record('joe')).beside).toBeUndefined()
  expect(await at.rights('Projects')).toEqual({})
  expect(await at.limits('joe')).toMatchObject({ storage: { value: 0 }, messages: { value: 0 } })
})

it('what an owner has changed here stays, also when everything is asked for once more', async () => {
  const at = await syncd()
  await at.move('ann')
  await at.move('joe')
  await deleteAcl(at.store, idOf('joe'), 'Projects', 'ann@a.example')
  await at.again('joe')
  expect(await at.rights('Projects')).not.toHaveProperty(['ann@a.example'])
})

it('a name that ms_sync.xml gives to somebody else gets nothing', async () => {
  const xml = `<xmldb><user frontend_id="ann@a.example" backend_id="annie" host="127.0.0.1"/></xmldb>`
  const at = await syncd({}, makeUserDatabase(undefined, parseUserDatabase(Buffer.from(xml), 'ms_sync.xml').records))
  await at.accounts.add(
    { userId: idOf('ann'), state: 'enabled', verifiers: undefined, services: {}, properties: [] },
    Buffer.from('x'),
  )
  await at.move('joe')
  expect(await at.rights('Projects')).toEqual({})
  expect((await at.record('joe')).beside!.notGiven).toContainEqual(
    expect.stringMatching(/"ann" has .*the mail of ann@a.example comes from elsewhere/),
  )
})

it('rights that wait are given by the next ms_syncd when the one that made the account has died', async () => {
  const at = await syncd()
  await at.move('joe')
  await at.accounts.add(
    { userId: idOf('bob'), state: 'enabled', verifiers: undefined, services: {}, properties: [] },
    Buffer.from('x'),
  )
  await at.extension.started?.()
  // An account that no migration made may be anybody's.
  expect(await at.rights('Projects')).toEqual({})
  const closed = { ...(await at.record('joe')), userId: idOf('bob') }
  await at.records.change(idOf('bob'), () => closed)
  await at.extension.started?.()
  await at.until(async () => 'bob@a.example' in (await at.rights('Projects')))
})

it('an old server that can not be asked is a finding, and no failure', async () => {
  const at = await syncd()
  const backends = (await at.gateway.backendsOf('joe', idOf('joe')))!
  const findings = new Findings()
  await bring(
    {
      parts: at.parts,
      userId: idOf('joe'),
      backends: { ...backends, master: { ...backends.master, port: 1 } },
      password: Buffer.from('secret'),
      kept: ['quota', 'acl', 'sieve'],
      config: configOf({ ...at.options, migration_sieve_port: 1 }),
      signal: new AbortController().signal,
      onQuota: () => {},
    },
    findings,
  )
  expect(findings.all).toEqual({
    given: [],
    notGiven: [
      expect.stringMatching(/^quota and rights: .*ECONNREFUSED/),
      expect.stringMatching(/^Sieve scripts: the old server has no ManageSieve there: .*ECONNREFUSED/),
    ],
  })
})
