/** Sessions of sieved, section by section of RFC 5804. */
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { UserId } from '#src/base/ids.ts'
import { configOf } from '#src/config/config.ts'
import { listenersOf } from '#src/config/listeners.ts'
import { capabilities } from '#src/sieve/compile.ts'
import { scriptsOf } from '#src/store/scripts.ts'
import { literal, password, plain, type RunningSieved, type SievedOptions, startSieved, user } from './support.ts'

const own = async (options: SievedOptions): Promise<RunningSieved> => {
  const running = await startSieved(options)
  onTestFinished(() => running.stop())
  return running
}

let server: RunningSieved
beforeAll(async () => {
  server = await startSieved({
    tls: true,
    users: {
      [user]: {},
      'root@example.org': {},
      'denied@example.org': { sieve: 'deny' },
      'bert@example.org': {},
      'one@example.org': {},
    },
    config: { admin_user: 'root@example.org', imap_port: 1143 },
  })
})
afterAll(() => server.stop())

it('MS-01 listens on port 4190 of all interfaces unless the configuration says otherwise', () => {
  expect(listenersOf(configOf({}), 'sieve')).toEqual([{ host: '', port: 4190 }])
})

describe('capabilities and greeting (§1.7)', () => {
  it('tells what there is before and behind STARTTLS and login', async () => {
    const client = await server.client()
    const greeting = await client.capabilities()
    expect(greeting).toMatchObject({
      IMPLEMENTATION: 'Wherry',
      VERSION: '1.0',
      SIEVE: capabilities().join(' '),
      STARTTLS: '',
      MAXREDIRECTS: '5',
      UNAUTHENTICATE: '',
    })
    expect(greeting.SASL!.split(' ')).toEqual(expect.arrayContaining(['SCRAM-SHA-1', 'SCRAM-SHA-256', 'PLAIN']))
    expect(greeting).not.toHaveProperty('OWNER')
    expect(await client.ask('StartTLS')).toMatchObject({ status: 'OK' })
    await client.upgrade()
    const secure = await client.capabilities()
    expect(secure).not.toHaveProperty('STARTTLS')
    expect(secure.SASL!.split(' ')).toContain('SCRAM-SHA-256-PLUS')
    expect(await client.ask('STARTTLS')).toMatchObject({ status: 'NO' })
    expect(await client.ask(`authenticate "plain" "${plain(user)}"`)).toMatchObject({ status: 'OK', lines: [] })
    client.send('CAPABILITY')
    expect(await client.capabilities()).toEqual({ ...secure, OWNER: user })
    expect(await client.ask('STARTTLS')).toMatchObject({ status: 'NO' })
  })

  it('with login_disabled and without TLS offers no password, and says so (ENCRYPT-NEEDED)', async () => {
    const strict = await own({ tls: true, config: { login_disabled: true } })
    const client = await strict.client()
    expect((await client.capabilities()).SASL!.split(' ')).not.toContain('PLAIN')
    expect(await client.ask(`AUTHENTICATE "PLAIN" "${plain(user)}"`)).toMatchObject({
      status: 'NO',
      code: 'ENCRYPT-NEEDED',
    })
    await client.ask('STARTTLS')
    await client.upgrade()
    expect((await client.capabilities()).SASL!.split(' ')).toContain('PLAIN')
  })

  it('what was sent behind STARTTLS before TLS is never executed (§2.2)', async () => {
    const client = await server.client()
    await client.answer()
    client.send(`STARTTLS\r\nAUTHENTICATE "PLAIN" "${plain(user)}"`)
    expect(await client.answer()).toMatchObject({ status: 'BYE' })
    await client.closed()
  })
})

describe('AUTHENTICATE (§2.1)', () => {
  it('takes the response with the command or by a challenge, quoted or as a literal', async () => {
    for (const response of [`"${plain(user)}"`, literal(plain(user))]) {
      const client = await server.client()
      await client.answer()
      expect(await client.ask(`AUTHENTICATE "PLAIN" ${response}`)).toMatchObject({ status: 'OK' })
      expect(await client.ask(`AUTHENTICATE "PLAIN" ${response}`)).toMatchObject({ status: 'NO' })
      const asked = await server.client()
      await asked.answer()
      asked.send('AUTHENTICATE "PLAIN"')
      expect(await asked.challenge()).toBe('')
      expect(await asked.ask(response)).toMatchObject({ status: 'OK' })
    }
  })

  it('is cancelled by "*", and then another mechanism can be tried', async () => {
    const client = await server.client()
    await client.answer()
    client.send('AUTHENTICATE "PLAIN"')
    await client.challenge()
    expect(await client.ask('"*"')).toMatchObject({ status: 'NO' })
    client.send('AUTHENTICATE "LOGIN"')
    expect(await client.challenge()).toMatch(/^User/)
    client.send(`"${Buffer.from(user).toString('base64')}"`)
    expect(await client.challenge()).toMatch(/^Pass/)
    expect(await client.ask(`"${Buffer.from(password).toString('base64')}"`)).toMatchObject({ status: 'OK' })
  })

  it('refuses what is no base64, no mechanism or no string, and says the connection good-bye at last', async () => {
    const client = await server.client()
    await client.answer()
    expect(await client.ask('AUTHENTICATE "NONE"')).toMatchObject({
      status: 'NO',
      text: expect.stringMatching(/not available/),
    })
    expect(await client.ask('AUTHENTICATE "PLAIN" "!!!"')).toMatchObject({ status: 'NO' })
    expect(await client.ask('AUTHENTICATE PLAIN')).toMatchObject({ status: 'NO' })
    expect(await client.ask('NONSENSE')).toMatchObject({ status: 'NO' })
    expect(await client.answer()).toMatchObject({ status: 'BYE' })
    await client.closed()
  })

  it('after three refused logins ends the connection with BYE, and logs each (as in the example)', async () => {
    const client = await server.client()
    await client.answer()
    for (const secret of ['a', 'b'])
      expect(await client.ask(`AUTHENTICATE "PLAIN" "${plain(user, secret)}"`)).toMatchObject({ status: 'NO' })
    expect(await client.ask(`AUTHENTICATE "PLAIN" "${plain(user, 'c')}"`)).toMatchObject({ status: 'BYE' })
    await client.closed()
    expect(server.records.filter(({ message }) => message === 'login failed').at(-1)?.fields).toMatchObject({
      user,
      service: 'sieve',
      kind: 'bad-credentials',
    })
  })

  it('lets admin_user act for another one, and nobody else', async () => {
    const client = await server.client()
    await client.answer()
    expect(
      await client.ask(`AUTHENTICATE "PLAIN" "${plain('root@example.org', password, 'bert@example.org')}"`),
    ).toMatchObject({ status: 'OK' })
    client.send('CAPABILITY')
    expect((await client.capabilities()).OWNER).toBe('bert@example.org')
    const other = await server.client()
    await other.answer()
    expect(await other.ask(`AUTHENTICATE "PLAIN" "${plain(user, password, 'bert@example.org')}"`)).toMatchObject({
      status: 'NO',
    })
  })

  it('MS-04 who is denied the service sieve is refused, globally or by his own rule', async () => {
    const client = await server.client()
    await client.answer()
    expect(await client.ask(`AUTHENTICATE "PLAIN" "${plain('denied@example.org')}"`)).toMatchObject({
      status: 'NO',
      text: expect.stringMatching(/may not manage scripts/),
    })
    const closed = await own({
      users: { [user]: {}, 'granted@example.org': { sieve: 'allow' } },
      config: { accessible_services: { sieve: 'deny' } },
    })
    const refused = await closed.client()
    await refused.answer()
    expect(await refused.ask(`AUTHENTICATE "PLAIN" "${plain(user)}"`)).toMatchObject({ status: 'NO' })
    await closed.enter('granted@example.org')
  })
})

describe('scripts (§2.5 to §2.12)', () => {
  beforeEach(async () => {
    const scripts = scriptsOf(server.elsewhere.account(user as UserId))
    await server.elsewhere.account(user as UserId).ensure()
    await scripts.activate(undefined)
    for (const { name } of await scripts.list()) await scripts.remove(name)
  })

  it('needs a login', async () => {
    const client = await server.client()
    await client.answer()
    for (const command of ['LISTSCRIPTS', 'HAVESPACE "a" 1', 'UNAUTHENTICATE', 'SETACTIVE ""'])
      expect(await client.ask(command)).toMatchObject({ status: 'NO', text: expect.stringMatching(/log in/) })
  })

  it('MS-05 what is put and set active is what delivery finds, at once and in another process', async () => {
    const client = await server.enter()
    const scripts = scriptsOf(server.elsewhere.account(user as UserId))
    const text = '# é\r\nkeep;\r\n'
    expect(await client.ask(`PUTSCRIPT "clever\\"script" ${literal(text)}`)).toMatchObject({ status: 'OK' })
    expect(await scripts.findActive()).toBeUndefined()
    expect(await client.ask('SETACTIVE {13+}\r\nclever"script')).toMatchObject({ status: 'OK' })
    expect(await scripts.findActive()).toEqual({ name: 'clever"script', text })
    expect(await client.ask('PUTSCRIPT "clever\\"script" "discard;"')).toMatchObject({ status: 'OK' })
    expect(await scripts.findActive()).toMatchObject({ text: 'discard;' })
    expect(await client.ask('SETACTIVE ""')).toMatchObject({ status: 'OK' })
    expect(await client.ask('SETACTIVE ""')).toMatchObject({ status: 'OK' })
    expect(await scripts.findActive()).toBeUndefined()
    expect(await client.ask('SETACTIVE "baz"')).toMatchObject({ status: 'NO', code: 'NONEXISTENT' })
  })

  it('LISTSCRIPTS tells all, one of them ACTIVE; GETSCRIPT gives the octets back (§2.7, §2.9)', async () => {
    const client = await server.enter()
    const text = `# ${'x'.repeat(2_000)}\r\n# \\ "q" 𝄞\nkeep;`
    for (const name of ['summer_script', 'vacation é', 'clever"script'])
      expect(await client.ask(`PUTSCRIPT ${literal(name)} ${literal(text)}`)).toMatchObject({ status: 'OK' })
    await client.ask('SETACTIVE "summer_script"')
    expect((await client.ask('listscripts')).lines).toEqual(['clever"script', 'summer_script ACTIVE', 'vacation é'])
    expect(await client.ask('GETSCRIPT "vacation é"')).toMatchObject({ status: 'OK', lines: [text] })
    expect(await client.ask('GETSCRIPT "none"')).toMatchObject({ status: 'NO', code: 'NONEXISTENT' })
  })

  it('DELETESCRIPT and RENAMESCRIPT have their codes (§2.10, §2.11)', async () => {
    const client = await server.enter()
    for (const name of ['foo', 'bar']) await client.ask(`PUTSCRIPT "${name}" "keep;"`)
    expect(await client.ask('RENAMESCRIPT "foo" "bar"')).toMatchObject({ status: 'NO', code: 'ALREADYEXISTS' })
    expect(await client.ask('RENAMESCRIPT "baz" "new"')).toMatchObject({ status: 'NO', code: 'NONEXISTENT' })
    await client.ask('SETACTIVE "foo"')
    expect(await client.ask('RENAMESCRIPT "foo" "new"')).toMatchObject({ status: 'OK' })
    expect((await client.ask('LISTSCRIPTS')).lines).toEqual(['bar', 'new ACTIVE'])
    expect(await client.ask('DELETESCRIPT "new"')).toMatchObject({ status: 'NO', code: 'ACTIVE' })
    expect(await client.ask('DELETESCRIPT "baz"')).toMatchObject({ status: 'NO', code: 'NONEXISTENT' })
    expect(await client.ask('DELETESCRIPT "bar"')).toMatchObject({ status: 'OK' })
    expect((await client.ask('LISTSCRIPTS')).lines).toEqual(['new ACTIVE'])
  })

  it('a script with errors is not kept, and all are told with their lines (§2.6)', async () => {
    const client = await server.enter()
    await client.ask('PUTSCRIPT "foo" "keep;"')
    const wrong = '#comment\r\nInvalidSieveCommand\r\n'
    for (const command of [`PUTSCRIPT "foo" ${literal(wrong)}`, `CHECKSCRIPT ${literal(wrong)}`]) {
      const { status, text } = await client.ask(command)
      expect([status, text]).toEqual(['NO', expect.stringMatching(/^line [23]/)])
    }
    expect(await client.ask('CHECKSCRIPT "require \\"no-such-thing\\";"')).toMatchObject({
      status: 'NO',
      text: expect.stringMatching(/^line 1.*no-such-thing/),
    })
    // A literal, however short: clients take the quotes of a string for the script's.
    expect(await client.ask('GETSCRIPT "foo"')).toMatchObject({ lines: ['keep;'], literals: 1 })
    expect(await client.ask('PUTSCRIPT "foo" ""')).toMatchObject({ status: 'NO' })
    expect(await client.ask('PUTSCRIPT "" "keep;"')).toMatchObject({ status: 'NO' })
    expect(await client.ask('PUTSCRIPT "a\tb" "keep;"')).toMatchObject({ status: 'NO' })
    client.send(Buffer.from('PUTSCRIPT "foo" {7+}\r\n# \xff\xfe\r\n\r\n', 'latin1'))
    expect(await client.answer()).toMatchObject({ status: 'NO' })
    expect(await client.ask('CHECKSCRIPT "keep;"')).toMatchObject({ status: 'OK' })
  })

  it('MS-02 a script above sieve_maxscriptsize is refused with QUOTA/MAXSIZE, whatever its size', async () => {
    const client = await server.enter()
    const exact = `# ${'x'.repeat(32 * 1024 - 2)}`
    expect(await client.ask('HAVESPACE "myscript" 999999')).toMatchObject({ status: 'NO', code: 'QUOTA/MAXSIZE' })
    expect(await client.ask('HAVESPACE "foobar" 32768')).toMatchObject({ status: 'OK' })
    expect(await client.ask(`PUTSCRIPT "foobar" ${literal(exact)}`)).toMatchObject({ status: 'OK' })
    expect(await client.ask(`PUTSCRIPT "foobar" ${literal(`${exact}x`)}`)).toMatchObject({
      status: 'NO',
      code: 'QUOTA/MAXSIZE',
    })
    const huge = 'x'.repeat(2 * 1024 * 1024)
    expect(await client.ask(`PUTSCRIPT "foobar" ${literal(huge)}`)).toMatchObject({
      status: 'NO',
      code: 'QUOTA/MAXSIZE',
    })
    // §2.12: no quota there.
    expect(await client.ask(`CHECKSCRIPT ${literal(`${exact}x`)}`)).toMatchObject({ status: 'OK' })
    expect(await client.ask('GETSCRIPT "foobar"')).toMatchObject({ lines: [exact] })
    client.send('PUTSCRIPT "foobar" {4000000000+}')
    expect(await client.answer()).toMatchObject({ status: 'BYE' })
    await client.closed()
  })

  it('MS-03 a new script beyond sieve_maxscripts is refused with QUOTA/MAXSCRIPTS; a reload changes limits', async () => {
    const client = await server.enter()
    for (const name of ['1', '2', '3', '4', '5'])
      expect(await client.ask(`PUTSCRIPT "${name}" "keep;"`)).toMatchObject({ status: 'OK' })
    expect(await client.ask('HAVESPACE "6" 10')).toMatchObject({ status: 'NO', code: 'QUOTA/MAXSCRIPTS' })
    expect(await client.ask('PUTSCRIPT "6" "keep;"')).toMatchObject({ status: 'NO', code: 'QUOTA/MAXSCRIPTS' })
    expect(await client.ask('PUTSCRIPT "5" "stop;"')).toMatchObject({ status: 'OK' })
    await server.reload({ sieve_maxscripts: 6 })
    expect(await client.ask('PUTSCRIPT "6" "keep;"')).toMatchObject({ status: 'OK' })
    await server.reload({})
  })
})

describe('the rest', () => {
  it('NOOP echoes its tag (§2.13), LOGOUT ends (§2.3), in both states', async () => {
    const client = await server.client()
    await client.answer()
    expect(await client.ask('NOOP')).toMatchObject({ status: 'OK', code: '' })
    expect(await client.ask('noop "STARTTLS-SYNC-42"')).toMatchObject({ status: 'OK', code: 'TAG STARTTLS-SYNC-42' })
    expect(await client.ask('LOGOUT\r\nNOOP')).toMatchObject({ status: 'OK' })
    await client.closed()
    const inside = await server.enter('one@example.org')
    expect(await inside.ask('NOOP {3+}\r\n"\r\n')).toMatchObject({ status: 'OK', code: 'TAG "\r\n' })
    expect(await inside.ask('logout')).toMatchObject({ status: 'OK' })
    await inside.closed()
  })

  it('UNAUTHENTICATE leads back to the login (§2.14.1), and events show who is connected', async () => {
    const client = await server.enter('one@example.org')
    const shown = () => [...server.bus.announced].map(({ presence }) => [presence.service, presence.user])
    expect(shown()).toContainEqual(['sieve', 'one@example.org'])
    expect(await client.ask('UNAUTHENTICATE')).toMatchObject({ status: 'OK' })
    expect(shown()).not.toContainEqual(['sieve', 'one@example.org'])
    expect(await client.ask('LISTSCRIPTS')).toMatchObject({ status: 'NO' })
    expect(await client.ask(`AUTHENTICATE "PLAIN" "${plain('bert@example.org')}"`)).toMatchObject({ status: 'OK' })
    client.send('CAPABILITY')
    expect((await client.capabilities()).OWNER).toBe('bert@example.org')
  })

  it('commands that come together are answered in their order (§2)', async () => {
    const client = await server.client()
    await client.answer()
    client.send(
      `AUTHENTICATE "PLAIN" "${plain('one@example.org')}"\r\nPUTSCRIPT "a" {5+}\r\nkeep;\r\nSETACTIVE "a"\r\nNOOP "x"`,
    )
    for (const code of ['', '', '', 'TAG x']) expect(await client.answer()).toMatchObject({ status: 'OK', code })
  })

  it('says goodbye when the service stops', async () => {
    const stopping = await startSieved()
    const client = await stopping.enter()
    const stopped = stopping.bus
    expect(stopped.announced.size).toBe(1)
    const answer = client.answer()
    const done = stopping.stopDaemon()
    expect(await answer).toMatchObject({ status: 'BYE', code: 'TRYLATER' })
    await done
    await stopping.stop()
  })

  it('GW-13 in gateway mode offers the mechanisms that bring the password', async () => {
    const gateway = await own({ config: { gateway_mode: true } })
    const client = await gateway.client()
    expect((await client.capabilities()).SASL).toBe('PLAIN LOGIN')
    expect(await client.ask(`AUTHENTICATE "PLAIN" "${plain(user)}"`)).toMatchObject({ status: 'NO', code: 'TRYLATER' })
  })
})
