import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openAccounts } from '#src/auth/accounts.ts'
import { createAuthenticator } from '#src/auth/authenticator.ts'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { commands } from '#src/cli/msadm/commands.ts'
import { msadm } from '#src/cli/msadm/msadm.ts'
import { splitWords } from '#src/cli/msadm/words.ts'
import { configOf } from '#src/config/config.ts'
import { openStore } from '#src/store/store.ts'

const main = resolve(import.meta.dirname, '../../src/cli/msadm/main.ts')
let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'msadm-'))
  await configure('')
})
afterEach(() => rm(directory, { recursive: true }))

const configure = (more: string) =>
  writeFile(
    join(directory, 'ms.conf'),
    `<ms_options><account_db>accounts</account_db><userdir>user</userdir><domain>a.example</domain>${more}</ms_options>`,
  )

interface Result {
  readonly status: number | null
  readonly out: string
  readonly err: string
}
/** Runs msadm as a process of its own. */
const run = (
  args: readonly string[],
  input: string | Buffer = '',
  configFile = join(directory, 'ms.conf'),
): Promise<Result> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, '-c', configFile, ...args])
    let out = ''
    let err = ''
    child.stdout.setEncoding('utf8').on('data', (text) => (out += text))
    child.stderr.setEncoding('utf8').on('data', (text) => (err += text))
    child.on('error', reject)
    child.on('close', (status) => resolve({ status, out, err }))
    // A process that ends without reading is no failure of the test.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
/** The same without a process. */
const call = async (args: readonly string[], input = '', configFile = join(directory, 'ms.conf')): Promise<Result> => {
  const output = { out: '', err: '' }
  const collect = (name: 'out' | 'err') =>
    new Writable({
      write: (chunk, _, done) => {
        output[name] += chunk
        done()
      },
    })
  const status = await msadm(['-c', configFile, ...args], {
    input: Readable.from([Buffer.from(input)]),
    out: collect('out'),
    err: collect('err'),
  })
  return { status, ...output }
}
const find = (userId: string) => openAccounts(join(directory, 'accounts')).find(userId as UserId)
const logsIn = (user: string, password: string | Buffer) =>
  createAuthenticator({
    config: configOf({ account_db: join(directory, 'accounts'), domain: 'a.example' }),
    log: silentLog,
    clock: systemClock,
  })
    .login({
      service: 'imap',
      user,
      password: Buffer.from(password),
      localAddress: '::1',
      remoteAddress: '::1',
      signal: new AbortController().signal,
    })
    .then(
      ({ userId }) => userId,
      ({ kind }: { kind: string }) => kind,
    )

describe('msadm add, passwd, del', () => {
  it('makes an account that logs in, changes its password, removes it', async () => {
    expect(await run(['add', '-p', 'first secret', 'joe'])).toEqual({
      status: 0,
      out: 'added joe@a.example (enabled)\n',
      err: '',
    })
    expect(await logsIn('joe', 'first secret')).toBe('joe@a.example')
    expect((await find('joe@a.example'))?.properties).toEqual([
      ['mail', 'joe@a.example'],
      ['mailLocalAddress', 'joe@a.example'],
    ])
    expect(await run(['passwd', '-p', 'second', 'joe@A.example'])).toEqual({
      status: 0,
      out: 'changed the password of joe@a.example\n',
      err: '',
    })
    expect(await logsIn('joe', 'first secret')).toBe('bad-credentials')
    expect(await logsIn('joe', 'second')).toBe('joe@a.example')
    expect(await run(['del', 'joe'])).toEqual({ status: 0, out: 'removed joe@a.example (account)\n', err: '' })
    expect(await logsIn('joe', 'second')).toBe('bad-credentials')
    expect(await readdir(join(directory, 'accounts'))).toEqual([])
  })

  it('reads passwords from standard input, octet by octet', async () => {
    const latin1 = Buffer.from('p\u00e4ss', 'latin1')
    expect((await run(['add', '-p', '-', 'joe'], Buffer.concat([latin1, Buffer.from('\r\nrest')]))).status).toBe(0)
    expect(await logsIn('joe', latin1)).toBe('joe@a.example')
    expect(await run(['passwd', '-p', '-', 'joe'])).toMatchObject({
      status: 64,
      err: expect.stringContaining('standard input has no line with the password'),
    })
    expect(await run(['passwd', '-p', '-', 'joe'], '\n')).toMatchObject({
      status: 64,
      err: expect.stringContaining('the password is empty'),
    })
  })

  it('takes -m, -d, -r, -n, -f and properties', async () => {
    const script = `
      # the forms of the manual
      add -m moving n=1 n=2
      add -d off -n mailRoutingAddress=off@b.example
      add -p x joe mailLocalAddress=joe@a.example
      add -d joe
      add -f -d joe mail=other@a.example -n
      add -f -m nobody -r`
    await configure('<auto_add_laser_routing>false</auto_add_laser_routing>')
    expect(await call([], script)).toEqual({
      status: 1,
      out: 'added moving@a.example (migrating)\nadded off@a.example (disabled)\nadded joe@a.example (enabled)\nadded joe@a.example (disabled)\nadded nobody@a.example (migrating)\n',
      err: 'msadm: add: line 6: the account joe@a.example exists\n',
    })
    expect(await find('moving@a.example')).toMatchObject({
      state: 'migrating',
      verifiers: undefined,
      properties: [
        ['n', '1'],
        ['n', '2'],
      ],
    })
    expect(await find('off@a.example')).toMatchObject({
      state: 'disabled',
      properties: [['mailRoutingAddress', 'off@b.example']],
    })
    const joe = await find('joe@a.example')
    expect(joe).toMatchObject({
      state: 'disabled',
      properties: [
        ['mailLocalAddress', 'joe@a.example'],
        ['mail', 'other@a.example'],
      ],
    })
    expect(joe?.verifiers).toBeDefined()
    expect((await find('nobody@a.example'))?.properties.map(([name]) => name)).toEqual(['mail', 'mailLocalAddress'])
  })

  it('removes mail with the account unless it is to be kept, and of users who have no account', async () => {
    await call([], 'add -d joe\nadd -d jim')
    const store = openStore({
      root: join(directory, 'user'),
      clock: systemClock,
      log: silentLog,
    })
    for (const user of ['joe', 'jim', 'guest']) await store.account(`${user}@a.example` as UserId).ensure()
    await store.close()
    expect((await call([], 'del joe\ndel -k jim\ndel guest')).out).toBe(
      'removed joe@a.example (account and mail)\nremoved jim@a.example (account)\nremoved guest@a.example (mail)\n',
    )
    const left = await readdir(join(directory, 'user'))
    expect([left.length, (await call(['path', 'jim'])).out]).toEqual([1, `${join(directory, 'user', left[0]!)}\n`])
    expect(await call(['del', 'nobody'])).toEqual({
      status: 1,
      out: '',
      err: 'msadm: del: there is no account nobody@a.example\n',
    })
    expect(await call(['del', '-k', 'jim'])).toMatchObject({ status: 1 })
  })

  it('GW-12 says that a gateway does not use the password', async () => {
    await configure('<gateway_mode>true</gateway_mode>')
    expect((await call(['add', '-p', 'x', 'joe'])).err).toBe(
      'msadm: gateway_mode is on: logins are decided by the backend, and not by this account\n',
    )
  })
})

it.each([
  ['wave', 'list'],
  ['migrate', '--list'],
])('%s %s tells where mseventd was looked for', async (...words) => {
  expect(await call(words)).toMatchObject({
    status: 1,
    out: '',
    err: expect.stringMatching(/^msadm: \w+: mseventd at .* can't be reached .*Is it running\? [^\n]*\n$/),
  })
})

describe('msadm list and path', () => {
  it('lists by name and domain', async () => {
    await call([], 'add -d joe@a.example\nadd -p geheim -n -f joe@b.example k=v\nadd -d -n Anna@a.example')
    const list = async (...args: string[]) => (await call(['list', ...args])).out
    expect(await list()).toBe('Anna@a.example\njoe@a.example\njoe@b.example\n')
    expect(await list('-u', 'oe', '-d', '^a')).toBe('joe@a.example\n')
    expect(await list('-v', '-p', '-d', '^b')).toBe(
      'joe@b.example\n  state: enabled\n  k: v\n  userPassword: SCRYPT SCRAM-SHA-1 SCRAM-SHA-256\n',
    )
    expect(await list('-p', '-u', 'Anna')).toBe('Anna@a.example\n  userPassword: none\n')
    expect(JSON.parse((await call(['--json', 'list', '-v', '-d', '^b'])).out)).toEqual({
      userId: 'joe@b.example',
      state: 'enabled',
      services: {},
      properties: [['k', 'v']],
    })
    expect(await call(['list', '-u', '('])).toMatchObject({
      status: 64,
      err: expect.stringContaining('msadm: list: -u: '),
    })
  })

  it('prints where the mail is or would be', async () => {
    const { out } = await call([], 'path joe\npath joe@A.example\npath -e joe@A.example')
    const [first, second, exact] = out.trim().split('\n')
    expect(first?.startsWith(join(directory, 'user/'))).toBe(true)
    expect(second).toBe(first)
    expect(exact).not.toBe(first)
    expect(await readdir(directory)).toEqual(['ms.conf'])
  })
})

describe('msadm', () => {
  it.each([
    [['colour'], 64, '"colour" is not a command; msadm help shows what there is'],
    [['dump', 'joe'], 64, 'dump: vacation is what can be dumped'],
    [['add', 'joe'], 64, 'add: exactly one of -p password, -m and -d is needed\nusage: msadm add {-p password'],
    [['add', '-p', 'x', '-d', 'joe'], 64, 'add: exactly one of -p password, -m and -d is needed'],
    [['add', '-d'], 64, 'add: a userid is missing, for example joe@example.org'],
    [['add', '-d', 'joe', 'colour'], 64, 'add: "colour" is not a property; write name=value'],
    [['add', '-d', 'joe', 'userPassword=x'], 64, 'add: a password is given with -p, not as a property'],
    [
      ['add', '-d', 'joe', 'a=\u0007'],
      64,
      'add: the value of a is empty, has control characters or more than 1024 octets',
    ],
    [['add', '-d', 'j oe'], 1, 'add: a user id has no blanks, control characters or second @'],
    [['add', '-d', '../../etc'], 64, `add: "../../etc" can't be a name; take letters, digits`],
    [['add', '-d', '...@a.example'], 64, `add: "..." can't be a name; take letters, digits`],
    [['add', '-z', 'joe'], 64, "add: Unknown option '-z'"],
    [['add', '-d', '-r', '-n', 'joe'], 64, 'add: -r and -n exclude each other'],
    [['passwd', 'joe'], 64, 'passwd: -p password is needed; -p - reads it from standard input'],
    [['passwd', '-p', 'x', 'joe'], 1, 'passwd: there is no account joe@a.example; msadm add makes one'],
    [['del', 'joe', 'jim'], 64, 'del: "jim" is one word too many'],
    [['--colour'], 64, '"--colour" is not known before a command'],
  ] as const)('%j ends with %i', async (args, status, message) => {
    const result = await call(args)
    expect(result).toMatchObject({ status, out: '' })
    expect(result.err).toContain(`msadm: ${message}`)
  })

  it('names what is wrong with its configuration', async () => {
    await configure('<imap_timeout>1</imap_timeout>')
    expect(await call(['list'])).toEqual({
      status: 78,
      out: '',
      err: `msadm: ${join(directory, 'ms.conf')}:1: imap_timeout: 1 is below the minimum 30; valid is a whole number from 30 to 1440 (minutes)\n`,
    })
    expect((await call(['list'], '', '/nonexistent/ms.conf')).err).toContain(
      "/nonexistent/ms.conf: can't be read: ENOENT",
    )
  })

  it('goes on after a command on standard input that failed, and tells the line', async () => {
    expect(
      await call([], 'add -d joe\r\n\nfoo\nadd -d "jim\nadd -d \'jim\' a="b c"\npasswd -p - joe\nx y\nlist -v -u jim'),
    ).toEqual({
      status: 64,
      out: 'added joe@a.example (disabled)\nadded jim@a.example (disabled)\nchanged the password of joe@a.example\njim@a.example\n  state: disabled\n  mail: jim@a.example\n  mailLocalAddress: jim@a.example\n  a: b c\n',
      err: 'msadm: line 3: "foo" is not a command; msadm help shows what there is\nmsadm: line 4: a " is not closed\nmsadm: joe@a.example is still disabled; msadm add -f -p enables it\n',
    })
  })

  it('reports in JSON too', async () => {
    const { status, out, err } = await call(['--json'], 'add -d joe\nadd -d joe')
    expect([status, err]).toEqual([1, ''])
    expect(
      out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { userId: 'joe@a.example', state: 'disabled' },
      { command: 'add', error: 'line 2: the account joe@a.example exists' },
    ])
  })

  it('never shows a password or a verifier', async () => {
    const secret = 'geheim-4711'
    const results = [
      await run(['add', '-p', secret, 'joe']),
      await run(['add', '-p', secret, 'joe']),
      await run(['add', '-p', secret]),
      await run(['add', '-d', '-p', secret, 'joe']),
      await call(['passwd', '-p', `${secret}\n`, 'joe']),
      await call(['list', '-v', '-p']),
      await call(['--json', 'list', '-v', '-p']),
      await call([], `passwd -p - joe\n${secret}\npasswd -p "${secret}`),
    ]
    const shown = results.map(({ out, err }) => out + err).join()
    const stored = await readFile(join(directory, 'accounts/joe@a.example.json'), 'utf8')
    expect(shown + stored).not.toContain(secret)
    const { verifiers } = JSON.parse(stored)
    for (const verifier of Object.values<string>(verifiers)) expect(shown).not.toContain(verifier.split('$').at(-1))
  })

  it('takes --json behind the command too, but not what stands behind --', async () => {
    await call(['add', '-d', 'joe'])
    expect(await call(['list', '--json'])).toEqual(await call(['--json', 'list']))
    expect((await call(['list', '--json'])).out).toBe('{"userId":"joe@a.example","state":"disabled"}\n')
    expect((await call(['add', '-d', '--', 'jim', '--json'])).status).toBe(64)
  })

  it('run by root makes everything as ms_user, who has to read it', async () => {
    if (process.getuid?.() !== 0) return
    chmodSync(directory, 0o755)
    await configure('<ms_user>nobody</ms_user>')
    expect(await run(['add', '-p', 'secret', 'joe'])).toMatchObject({ status: 0, err: '' })
    const accounts = join(directory, 'accounts')
    for (const path of [accounts, ...(await readdir(accounts)).map((name) => join(accounts, name))])
      expect(statSync(path).uid, path).toBe(65534)
  })

  it('names option, owner and what to do where it has no access', async () => {
    await call(['add', '-d', 'joe'])
    const closed = join(directory, 'accounts')
    const args = [process.execPath, main, '-c', join(directory, 'ms.conf'), 'add', '-d', 'jim']
    const asNobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']
    const isRoot = process.getuid?.() === 0
    chmodSync(directory, 0o755)
    chmodSync(join(directory, 'ms.conf'), 0o644)
    if (!isRoot) chmodSync(closed, 0o500)
    const [command, ...rest] = [...(isRoot ? asNobody : []), ...args]
    const { status, stderr } = spawnSync(command!, rest, { encoding: 'utf8' })
    chmodSync(closed, 0o700)
    expect(status).toBe(1)
    expect(stderr).toMatch(
      /^msadm: add: \S+ms\.conf:1: account_db: \S+accounts is not open to this user \(EACCES\); run msadm as mbox \(ms_user\) or root, or give the directory to mbox$/m,
    )
  })

  it('helps', async () => {
    const { status, out } = await call(['--help'])
    expect(status).toBe(0)
    for (const word of ['add {-p password', 'del [-k]', 'list [-d', 'passwd -p', 'path [-e]', 'Examples'])
      expect(out).toContain(word)
    expect((await call(['add', '--help'])).out).toContain('waiting for its migration')
    expect((await call(['help'])).out).toBe(out)
    const del = await call(['del', '--help'])
    expect(del.out).toContain('fetched again')
    expect((await call(['help', 'del'])).out).toBe(del.out)
  })

  it.each([
    ['bash', (words: string, at: number) => `COMP_WORDS=(${words}); COMP_CWORD=${at}; _msadm; echo "\${COMPREPLY[@]}"`],
    // What the shell itself does: it offers what begins as the word under the cursor.
    [
      'zsh',
      (words: string, at: number) =>
        `compadd() { print -r -- \${(M)candidates:#\${words[CURRENT]}*}; }; _files() { :; }; words=(${words}); CURRENT=${at + 1}; _msadm`,
    ],
  ] as const)('completes commands, switches and words in %s', async (shell, ask) => {
    const { out } = await call(['--completion', shell])
    const complete = (words: readonly string[]) =>
      new Promise<string>((resolve, reject) => {
        const list = words.map((word) => `'${word}'`).join(' ')
        const child = spawn(shell, ['-c', `${out}\n${ask(list, words.length - 1)}`])
        let text = ''
        child.stdout.setEncoding('utf8').on('data', (chunk) => (text += chunk))
        child.on('error', reject)
        child.on('close', () => resolve(text.trim()))
      })
    expect(await complete(['msadm', 'pa'])).toBe('passwd path')
    expect(await complete(['msadm', '-c', 'del', 'li'])).toBe('list')
    expect(await complete(['msadm', '-c', 'x', 'del', '-'])).toBe('-k')
    expect(await complete(['msadm', 'service', 'imap', 'd'])).toBe('deny default')
    expect(await complete(['msadm', 'quota', 'set', '-'])).toBe('-m')
    expect((await call(['--completion', 'fish'])).err).toContain('there is no completion for "fish"')
  })

  it('every command has help with its switches, and examples where it has more than one form', async () => {
    for (const { name, usage, details } of commands) {
      const { status, out } = await call([name, '--help'])
      expect(status).toBe(0)
      expect(out).toContain(`msadm ${usage}\n`)
      for (const [given] of usage.matchAll(/(?<=[[{| ])-(?:-[a-z-]+|[a-zA-Z])(?=[ \]}|])/g))
        expect(details, `${name} ${given}`).toMatch(new RegExp(`^ {2}(-\\w, )?${given}|^ {2}${given}`, 'm'))
    }
  })
})

describe('words of a line', () => {
  it.each([
    ['  a  b\tc ', ['a', 'b', 'c']],
    [`'a "b' "c 'd" e" "f`, ['a "b', "c 'd", 'e f']],
    ['a\\ b "c\\"d" \'e\\f\' ""', ['a b', 'c"d', 'e\\f', '']],
    ['  # a comment', []],
    ['a #b', ['a', '#b']],
    ['', []],
  ])('%j', (line, words) => {
    expect(splitWords(line)).toEqual(words)
  })
})

describe('msadm move', () => {
  const here = () => join(directory, 'user')
  const there = () => join(directory, 'disk2')
  const ready = async () => {
    await configure('<partitions>disk2</partitions><partition_rule>first</partition_rule>')
    await mkdir(there())
    await call(['add', '-d', '-n', 'joe'])
    const store = openStore({
      root: here(),
      partitions: [there()],
      partitionRule: 'first',
      clock: systemClock,
      log: silentLog,
    })
    await store.account('joe@a.example' as UserId).ensure()
    await store.close()
  }

  it('moves mail to another partition, which path and list tell', async () => {
    await ready()
    expect((await call(['list', '-v'])).out).toBe(`joe@a.example\n  state: disabled\n  mail: ${here()}\n`)
    const moved = await run(['move', 'joe', there()])
    expect(moved).toMatchObject({
      status: 0,
      out: expect.stringMatching(/^moved joe@a\.example from .*user to .*disk2 \(\d+ files, /),
    })
    expect(moved.err).toMatch(/msadm: copying: \d+ of \d+ files, /)
    expect((await call(['path', 'joe'])).out).toBe(`${join(there(), 'joe@a.example')}\n`)
    expect((await call(['list', '-v'])).out).toContain(`  mail: ${there()}\n`)
    const lines = (await call(['--json', 'move', '-V', 'joe', here()])).out.trim().split('\n')
    const values = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(values.at(-1)).toMatchObject({ userId: 'joe@a.example', from: there(), to: here(), damaged: 0 })
    expect(values[0]).toMatchObject({ phase: 'counting' })
    expect(await readdir(there())).toEqual(['.wherry-partition'])
    expect((await call(['del', 'joe'])).out).toBe('removed joe@a.example (account and mail)\n')
  })

  it('says what can not be done', async () => {
    await ready()
    const failed = async (...args: string[]) => (await call(args)).err
    expect(await failed('move', 'joe')).toContain('a userid and a directory are needed')
    expect(await failed('move', '-w', 'x', 'joe', there())).toContain('-w takes a number of seconds')
    expect(await failed('move', 'joe', '/elsewhere')).toContain(
      'the target is /elsewhere, which is neither userdir nor one of the partitions',
    )
    expect(await failed('move', 'joe', here())).toContain('joe@a.example is in')
    expect(await failed('move', 'nobody', there())).toContain('nobody@a.example has no mail here')
    expect(await failed('add', '-d', 'jim', 'mboxRootUserDir=/elsewhere')).toContain(
      'mboxRootUserDir: /elsewhere is neither',
    )
  })

  it('USR-05 mboxRootUserDir decides where a mail directory is made', async () => {
    await ready()
    await call(['add', '-d', 'jim', `mboxRootUserDir=${there()}`])
    expect((await call(['path', 'jim'])).out).toBe(`${join(there(), 'jim@a.example')}\n`)
  })
})

describe('deliver', () => {
  it('puts what a mail server pipes in into the inbox, and answers in the words of sysexits.h', async () => {
    expect(await run(['deliver', 'joe'], 'Subject: x\n\nx\n')).toMatchObject({ status: 67 })
    await run(['add', '-d', 'joe'])
    const store = openStore({ root: join(directory, 'user'), clock: systemClock, log: silentLog })
    await store.account('joe@a.example' as UserId).ensure()
    await store.close()
    const octets = `Subject: x\n\n${'a line of text\n'.repeat(20_000)}`
    expect(await run(['deliver', 'joe'], octets)).toEqual({ status: 0, out: 'INBOX: 1\n', err: '' })
    const again = openStore({ root: join(directory, 'user'), clock: systemClock, log: silentLog })
    {
      await using inbox = await again.account('joe@a.example' as UserId).open('INBOX')
      await using content = await inbox.content(inbox.messages.at(0)!)
      expect((await content.read(0, content.sizeOctets)).toString()).toBe(octets.replaceAll('\n', '\r\n'))
    }
    await again.close()
    expect(await run(['deliver'], octets)).toMatchObject({ status: 64 })
    await rm(join(directory, 'user', 'joe@a.example'), { recursive: true })
    await writeFile(join(directory, 'user', 'joe@a.example'), 'no directory')
    expect((await run(['deliver', 'joe'], octets)).status).toBe(75)
  })
})
