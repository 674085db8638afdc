/** Old ManageSieve servers that no real one is: hostile, broken, or in the way of protection. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SieveConnection } from '#gateway/backend/managesieve/connection.ts'
import { getScript, listScripts } from '#gateway/backend/managesieve/scripts.ts'
import { openSieveLogin } from '#gateway/backend/open-backend.ts'
import { BackendProfiles } from '#gateway/backend/profile.ts'
import { silentLog } from '#src/base/log.ts'
import type { Backend } from '#src/config/backends.ts'
import { type Exchange, type Manner, type ScriptedServer, scriptedServer } from '#test/support/scripted-server.ts'

const quick = {
  connectMs: 500,
  replyMs: 500,
  capaMs: 500,
  progressMs: 500,
  progressOctets: 1_024,
  lineOctets: 65_536,
  listingOctets: 1_048_576,
  messageOctets: 1_048_576,
}
const capabilities = '"IMPLEMENTATION" "old"\r\n"SIEVE" "fileinto"\r\n"SASL" "PLAIN"\r\n'

/** A correct server without TLS, with one script. Literals are those of clients, {n+}. */
const usual = ({ word }: Exchange): string => {
  if (word === 'LISTSCRIPTS') return '"a\\"b" ACTIVE\r\n{1}\r\nc\r\nOK\r\n'
  if (word === 'GETSCRIPT') return '{5}\r\nkeep;\r\nOK (WARNINGS) "fine"\r\n'
  return 'OK "done"\r\n'
}

const manner: Manner = {}
let server: ScriptedServer<Exchange>
let connection: SieveConnection | undefined
let profiles: BackendProfiles
beforeEach(async () => {
  delete manner.cutAfter
  delete manner.pieces
  profiles = new BackendProfiles()
  manner.greeting = `${capabilities}OK "ready"\r\n`
  server = await scriptedServer(manner, manner.greeting, () => ({
    take(input) {
      const end = input.indexOf('\r\n')
      return end < 0 ? undefined : { line: input.slice(0, end), rest: input.slice(end + 2) }
    },
    exchange(line, common) {
      const [word = '', ...rest] = line.split(' ')
      return { ...common, line, word: word.toUpperCase(), argument: rest.join(' ') }
    },
    usual,
    knows: () => true,
    after: () => undefined,
  }))
})
afterEach(async () => {
  connection?.close()
  await server[Symbol.asyncDispose]()
})

const open = async (over: Partial<Backend> = {}): Promise<SieveConnection> => {
  const backend: Backend = {
    protocol: 'imap',
    host: '127.0.0.1',
    port: 143,
    user: 'joe',
    password: undefined,
    mailbox: '',
    intervalSeconds: -1,
    startTls: 'offered',
    tlsVerify: true,
    ...over,
  }
  connection = await openSieveLogin({ profiles, limits: quick }, backend, server.port, Buffer.from('secret'), silentLog)
  return connection
}
const names = async () => (await listScripts(connection!)).map(({ name, isActive }) => [name.toString(), isActive])

describe('what is said in clear', () => {
  it('is the password only where mail may go so, too', async () => {
    await open()
    expect(server.received.join()).toContain(
      `AUTHENTICATE "PLAIN" "${Buffer.from('\0joe\0secret').toString('base64')}"`,
    )
  })

  it.each([
    ['by imaps', { protocol: 'imaps' }],
    ['by pops', { protocol: 'pops', startTls: 'never' }],
    ["with starttls='required'", { startTls: 'required' }],
  ] as const)('is no password where mail goes %s', async (_, over) => {
    await expect(open(over)).rejects.toMatchObject({ kind: 'tls' })
    expect(server.received.join()).not.toContain('AUTHENTICATE')
  })

  it('is no password where mail had TLS before, nor is it afterwards', async () => {
    profiles.of('127.0.0.1', 143).learned.protection = 'unverified'
    await expect(open()).rejects.toMatchObject({ kind: 'tls' })
    expect(server.received.join()).not.toContain('AUTHENTICATE')
  })

  it('is nothing behind an OK to STARTTLS: injected lines end the session', async () => {
    manner.greeting = `${capabilities}"STARTTLS"\r\nOK\r\n`
    server.on('STARTTLS', () => 'OK "begin"\r\n"SASL" "PLAIN"\r\nOK\r\n')
    await expect(open({ startTls: 'required' })).rejects.toMatchObject({ kind: 'tls', message: /in clear behind/ })
  })
})

describe('an answer', () => {
  it('may come octet for octet, with escapes, literals and response codes', async () => {
    manner.pieces = 1
    await open()
    expect(await names()).toEqual([
      ['a"b', true],
      ['c', false],
    ])
    expect((await getScript(connection!, Buffer.from('a"b'))).toString()).toBe('keep;')
    expect(server.received.at(-1)).toBe('1 GETSCRIPT "a\\"b"')
  })

  it('that refuses a script, or gives one that is too large, leaves the session usable', async () => {
    await open()
    server.on('GETSCRIPT', () => 'NO (NONEXISTENT) {2}\r\nno\r\n')
    await expect(getScript(connection!, Buffer.from('c'))).rejects.toMatchObject({ serverText: '(NONEXISTENT) no' })
    server.on('GETSCRIPT', () => `{1048577}\r\n${'x'.repeat(1_048_577)}\r\nOK\r\n`)
    await expect(getScript(connection!, Buffer.from('c'))).rejects.toMatchObject({ kind: 'limit' })
    expect(await names()).toHaveLength(2)
  })

  it.each([
    ['of lines without end', '"x"\r\n'.repeat(2_001), 'limit'],
    ['that is none', '* OK IMAP4rev1\r\n', 'protocol'],
    ['of an endless literal', '{4294967295}\r\n', 'protocol'],
    ['that is BYE', 'BYE (TRYLATER) "later"\r\n', 'temporary'],
    ['that does not end', '"x"\r\n', 'timeout'],
  ])('%s ends the session with a reason', async (_, said, kind) => {
    await open()
    server.on('LISTSCRIPTS', () => said)
    await expect(names()).rejects.toMatchObject({ kind })
  })

  it('cut in a literal is a lost connection', async () => {
    await open()
    server.on('GETSCRIPT', ({ socket }) => {
      socket.end('{9}\r\nkee')
      return undefined
    })
    await expect(getScript(connection!, Buffer.from('c'))).rejects.toMatchObject({ kind: 'closed' })
  })
})

it.each([
  ['BYE "full"\r\n', 'temporary'],
  ['* OK IMAP4rev1 ready\r\n', 'protocol'],
  ['+OK POP3\r\n', 'protocol'],
])('a greeting of %j is told as what it is', async (greeting, kind) => {
  manner.greeting = greeting
  await expect(open()).rejects.toMatchObject({ kind })
})
