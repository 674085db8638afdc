/** No password and no token stays anywhere: state files, logs, events, what other users of the machine see of a process, and its memory. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { configOf } from '#src/config/config.ts'
import { openConsents } from '#src/oauth/consents.ts'
import { type Dovecot, startDovecot } from '../support/dovecot.ts'
import { sampleMessages } from '../support/messages.ts'
import { RawImap } from '../support/raw-imap.ts'
import { RawPop3 } from '../support/raw-pop3.ts'
import { startTokenProvider, type TokenProvider } from '../support/token-provider.ts'
import { startWherry, type Wherry } from '../support/wherry.ts'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')

/** Nothing else in the world has these words. */
const canaries = {
  password: 'xylophone-quokka-pass',
  wrong: 'xylophone-quokka-wrong',
  master: 'xylophone-quokka-master',
  refused: 'xylophone-quokka-refused',
  further: 'xylophone-quokka-further',
  tokens: 'xylophone-quokka-token',
  clientSecret: 'xylophone-quokka-secret',
}

/** As it is, as base64 wherever it begins, and as UTF-16. */
const formsOf = (word: string): readonly Buffer[] => [
  Buffer.from(word),
  ...[0, 1, 2].map((shift) => {
    const text = Buffer.from(`${'x'.repeat(shift)}${word}`).toString('base64')
    // The first and the last digits belong to neighbours too.
    return Buffer.from(text.slice(shift === 0 ? 0 : 4, -4))
  }),
  Buffer.from(word, 'utf16le'),
]
const found = (octets: Buffer): readonly string[] =>
  Object.entries(canaries).flatMap(([name, word]) =>
    formsOf(word).some((form) => octets.includes(form)) ? [name] : [],
  )

let passwords: Dovecot
let oauth: Dovecot
let provider: TokenProvider
let wherry: Wherry
const keyDirectory = mkdtempSync(join(tmpdir(), 'canary-key-'))
let events = ''

beforeAll(async () => {
  provider = await startTokenProvider('joe', canaries.tokens)
  provider.lifetime = 2
  const master = `auth_master_user_separator = *\npassdb {\n  driver = static\n  args = password=${canaries.master}\n  master = yes\n}\n`
  passwords = await startDovecot({
    users: { joe: canaries.password, old: canaries.further, ann: 'unused', gone: 'unused' },
    protocols: ['pop3'],
    tls: true,
    extra: master,
  })
  oauth = await startDovecot({ users: { joe: 'unused' }, protocols: ['pop3'], tls: true, extra: provider.dovecot })
  for (const user of ['joe', 'old', 'ann']) await passwords.fill(user, sampleMessages(5))
  await oauth.fill('joe', sampleMessages(5))
  writeFileSync(join(keyDirectory, 'key'), Buffer.alloc(32, 5))
  const at = (dovecot: Dovecot) =>
    `host='127.0.0.1' port='${dovecot.pop3Port}' tls_ca_file='${dovecot.certificateFile}' starttls='required'`
  wherry = await startWherry({
    options: {
      ms_syncd_host: '127.0.0.1',
      ms_sync_interval: 1,
      oauth_state: join(keyDirectory, 'oauth'),
      oauth_key_file: join(keyDirectory, 'key'),
    },
    userDatabase: `<xmldb>
      <oauth_provider name='p' client_id='id' client_secret='${canaries.clientSecret}' token_endpoint='${provider.tokenEndpoint}'/>
      <user frontend_id='joe@gateway.example' backend_id='joe' ${at(passwords)}>
        <backend ${at(passwords)} backend_id='old' password='${canaries.further}' mailbox='Old'/>
        <backend ${at(passwords)} backend_id='ann' master_user='root' master_password='${canaries.master}' mailbox='Ann'/>
        <backend ${at(passwords)} backend_id='gone' password='${canaries.refused}' mailbox='Gone'/>
        <backend ${at(oauth)} backend_id='joe' auth='oauth' oauth_provider='p' mailbox='Token'/>
      </user>
    </xmldb>`,
  })
  const consents = await openConsents(
    configOf({ oauth_state: join(keyDirectory, 'oauth'), oauth_key_file: join(keyDirectory, 'key') }),
  )
  await consents.keep({ provider: 'p', user: 'joe' }, provider.refreshToken!)
}, 300_000)

afterAll(async () => {
  await wherry?.stop()
  await passwords?.stop()
  await oauth?.stop()
  await provider?.[Symbol.asyncDispose]()
  rmSync(keyDirectory, { recursive: true, force: true })
})

/** Nothing, of a file that was in the making and is gone: no secret stays in it. */
const contentOf = (file: string): Buffer => {
  try {
    return readFileSync(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return Buffer.alloc(0)
  }
}

/** Everything in a process that is its own: what a core dump would hold. */
const memoryOf = (pid: number): readonly Buffer[] => {
  const file = openSync(`/proc/${pid}/mem`, 'r')
  try {
    return readFileSync(`/proc/${pid}/maps`, 'latin1')
      .split('\n')
      .flatMap((line) => {
        const match = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line)
        if (match === null || line.includes('[vvar')) return []
        const [start, end] = [Number.parseInt(match[1]!, 16), Number.parseInt(match[2]!, 16)]
        const octets = Buffer.alloc(end - start)
        try {
          return [octets.subarray(0, readSync(file, octets, 0, octets.length, start))]
        } catch {
          // Gone since the list was made, or a page that nobody may read.
          return []
        }
      })
  } finally {
    closeSync(file)
  }
}

const isInMemory = (...words: readonly string[]): boolean =>
  wherry
    .pids('ms_syncd')
    .flatMap(memoryOf)
    .some((octets) => words.some((word) => octets.includes(word)))

it('DEP-05: after logins, failures, renewals and syncs no password and no token is anywhere', async () => {
  const follower = spawn(process.execPath, [join(root, 'src/cli/msstat/main.ts'), '-c', wherry.configFile, '-f', 'ALL'])
  follower.stdout.setEncoding('utf8').on('data', (text: string) => {
    events += text
  })
  const user = 'joe@gateway.example'
  {
    await using wrong = await RawImap.connect(wherry.imapPort)
    await expect(wrong.login(user, canaries.wrong)).rejects.toThrow()
    await using imap = await RawImap.connect(wherry.imapPort)
    await imap.login(user, canaries.password)
    await using pop3 = await RawPop3.login(wherry.pop3Port, user, canaries.password)
    for await (const _ of pop3.messages());
    await expect
      .poll(
        async () => {
          const lines = await imap.command('LIST "" "*"')
          return ['Old', 'Ann', 'Token'].filter((name) => lines.some(({ text }) => text.includes(name)))
        },
        { timeout: 60_000 },
      )
      .toEqual(['Old', 'Ann', 'Token'])
    await expect.poll(() => provider.given.length, { timeout: 60_000 }).toBeGreaterThan(3)
    await expect.poll(() => wherry.log(), { timeout: 60_000 }).toContain('refuses the password')
    expect(isInMemory(canaries.password), 'what polls use, and that it can be found').toBe(true)
  }
  const stat = await run(process.execPath, [join(root, 'src/cli/msstat/main.ts'), '-c', wherry.configFile])
  follower.kill()
  await once(follower, 'exit')

  expect(found(Buffer.from(wherry.log())), 'the log').toEqual([])
  expect(events, 'somebody followed').toContain('joe@gateway.example')
  expect(found(Buffer.from(events + stat.stdout)), 'events and msstat').toEqual([])
  const files = [wherry.directory, keyDirectory].flatMap((directory) =>
    readdirSync(directory, { recursive: true, withFileTypes: true }).flatMap((entry) =>
      entry.isFile() ? [join(entry.parentPath, entry.name)] : [],
    ),
  )
  expect(files.length).toBeGreaterThan(20)
  // What the operator wrote there is still there.
  for (const file of files.filter((name) => !name.endsWith('ms_sync.xml')))
    expect(found(contentOf(file)), file).toEqual([])
  for (const service of ['ms_syncd', 'imapd', 'pop3d', 'mseventd'] as const)
    for (const each of wherry.pids(service))
      for (const name of ['cmdline', 'environ', 'comm'])
        expect(found(readFileSync(`/proc/${each}/${name}`)), `${service} ${name}`).toEqual([])

  // Strings of V8 are beyond our reach (docs/decisions/0194-secrets-in-memory.md): the octets of what somebody typed are not.
  await expect
    .poll(() => isInMemory(canaries.password, canaries.wrong), { timeout: 120_000, interval: 3_000 })
    .toBe(false)
}, 300_000)
