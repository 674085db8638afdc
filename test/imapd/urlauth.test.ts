/** URLAUTH, RFC 4467 and RFC 5524: what owners authorise is fetched by others, and by nobody else. IMAP-12 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { openStore } from '#src/store/store.ts'
import { logTo, type RunningImapd, startImapd } from './support.ts'
import { Peer } from './transcript.ts'

const [owner, submitter, other] = ['joe@example.org', 'submitserver@example.org', 'mary@example.org'] as const
const parts = [
  'Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n',
  '--b\r\nContent-Type: text/plain\r\n\r\nSi vis pacem, para bellum.\r\n\r\n',
  '--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nQQBC\r\n',
  '--b\r\nContent-Type: image/x-odd\r\nContent-Transfer-Encoding: x-blurdybloop\r\n\r\n?\r\n',
  '--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\none=0D=0Atwo\r\n',
  '--b\r\nContent-Type: text/plain\r\n\r\na\0b\r\n--b--\r\n',
].join('')

let imapd: RunningImapd
beforeAll(async () => {
  imapd = await startImapd([owner, submitter, other], { group: [{ name: 'submit', users: [submitter] }] })
})
afterAll(() => imapd.stop())

interface Client {
  (command: string): Promise<readonly string[]>
  close(): void
}

async function enter(user: string, at: Pick<RunningImapd, 'host' | 'port'> = imapd): Promise<Client> {
  const peer = await Peer.open(at)
  await peer.line()
  await peer.command('login', `LOGIN ${user} secret`)
  const run = async (command: string) => peer.command('x', command)
  return Object.assign(run, { close: () => peer.destroy() })
}

const url = (rest: string, user = 'joe%40example.org') => `imap://${user}@mail.example.org/${rest}`
const authorise = async (client: Client, rump: string): Promise<string> => {
  const [line = '', end] = await client(`GENURLAUTH "${rump}" INTERNAL`)
  expect(end).toMatch(/^x OK/)
  const [, authorised] = /^\* GENURLAUTH "(.*)"$/.exec(line)!
  expect(authorised!.slice(0, rump.length)).toBe(rump)
  // RFC 4467 §2.5: at least 128 bits
  expect(authorised!.slice(rump.length)).toMatch(/^:internal:[0-9a-f]{32,}$/)
  return authorised!
}
/** What the URL gives, in the simple form. */
const fetched = async (client: Client, authorised: string) => {
  const [line = '', end] = await client(`URLFETCH "${authorised}"`)
  expect(end).toMatch(/^x OK/)
  expect(line.startsWith(`* URLFETCH "${authorised}" `)).toBe(true)
  return line.slice(`* URLFETCH "${authorised}" `.length)
}
const bellum = '{28}\r\nSi vis pacem, para bellum.\r\n'

describe('URLAUTH', () => {
  let joe: Client
  let mary: Client
  let submit: Client
  beforeAll(async () => {
    ;[joe, mary, submit] = [await enter(owner), await enter(other), await enter(submitter)]
    expect((await joe(`APPEND INBOX {${parts.length}+}\r\n${parts}`)).at(-1)).toMatch(/APPENDUID \d+ 1\]/)
  })
  afterAll(() => {
    for (const client of [joe, mary, submit]) client.close()
  })

  it('RFC 4467 §7: what GENURLAUTH refuses', async () => {
    for (const [rump, reply] of [
      [url('INBOX/;uid=1/;section=1.2'), 'BAD url-rump: expected ;URLAUTH='],
      ['imap://mail.example.org/INBOX/;uid=1;urlauth=submit+fred', 'BAD url-rump: expected the user'],
      [url('INBOX;urlauth=anonymous'), 'BAD url'],
      [url('?ALL;urlauth=anonymous'), 'BAD url'],
      [url(`INBOX/;uid=1;urlauth=anonymous:internal:${'0'.repeat(32)}`), 'BAD url-rump: expected no token'],
      [url('INBOX/;uid=1;urlauth=anonymous', 'mary%40example.org'), 'BAD The user'],
      [url('Nowhere/;uid=1;urlauth=anonymous'), 'BAD The mailbox'],
    ])
      expect((await joe(`GENURLAUTH "${rump}" INTERNAL`)).at(-1), rump).toMatch(RegExp(`^x ${RegExp.escape(reply!)}`))
    expect((await joe(`GENURLAUTH "${url('INBOX/;uid=1;urlauth=anonymous')}" XSAMPLE`)).at(-1)).toMatch(
      /^x NO \[CANNOT/,
    )
  })

  it('IMAP-12: submit+ is for the members of the group submit', async () => {
    const authorised = await authorise(joe, url('INBOX/;uid=1/;section=1;urlauth=submit+joe'))
    expect(await fetched(submit, authorised)).toBe(bellum)
    expect(await fetched(mary, authorised)).toBe('NIL')
    expect(await fetched(joe, authorised)).toBe('NIL')
  })

  it('user+ is for one user, authuser and anonymous for all', async () => {
    const one = await authorise(joe, url('INBOX/;uid=1/;section=1;urlauth=user+mary%40example.org'))
    expect(await fetched(mary, one)).toBe(bellum)
    expect(await fetched(submit, one)).toBe('NIL')
    for (const access of ['authuser', 'anonymous'])
      expect(await fetched(mary, await authorise(joe, url(`INBOX/;uid=1/;section=1;urlauth=${access}`)))).toBe(bellum)
  })

  it('a URL of which anything is changed gives nothing, nor one without a token', async () => {
    const authorised = await authorise(joe, url('INBOX/;uid=1/;section=1;urlauth=anonymous'))
    const wrong = [
      authorised.replace('section=1', 'section=2'),
      authorised.replace('imap:', 'IMAP:'),
      authorised.replace('%40', '@'),
      authorised.replace('INBOX', 'inbox'),
      authorised.replace('anonymous', 'authuser'),
      authorised.replace('joe', 'mary'),
      authorised.replace('joe', 'nobody'),
      authorised.replace(':internal:', ':xsample:'),
      authorised.replace(/.$/, (digit) => (digit === '0' ? '1' : '0')),
      authorised.slice(0, -1),
      authorised.replace(/:internal.*/, ''),
      url('INBOX'),
      'imap://mail.example.org/',
      'not a URL',
    ]
    for (const text of wrong) expect(await fetched(mary, text), text).toBe('NIL')
    expect(await fetched(mary, authorised.replace(':internal:', ':INTERNAL:'))).toBe(bellum)
    expect(
      (
        await mary(
          `URLFETCH ${wrong
            .slice(0, 3)
            .map((text) => `"${text}"`)
            .join(' ')} "${authorised}"`,
        )
      ).length,
    ).toBe(5)
  })

  it('EXPIRE', async () => {
    const at = (time: number) =>
      authorise(joe, url(`INBOX/;uid=1/;section=1;expire=${new Date(time).toISOString()};urlauth=anonymous`))
    expect(await fetched(mary, await at(Date.now() + 3_600_000))).toBe(bellum)
    expect(await fetched(mary, await at(Date.now() - 1000))).toBe('NIL')
  })

  it('what is not there: no message is NIL, no section of one is empty (RFC 4467 §8)', async () => {
    expect(await fetched(mary, await authorise(joe, url('INBOX/;uid=9;urlauth=anonymous')))).toBe('NIL')
    expect(await fetched(mary, await authorise(joe, url('INBOX;UIDVALIDITY=1/;uid=1;urlauth=anonymous')))).toBe('NIL')
    expect(await fetched(mary, await authorise(joe, url('INBOX/;uid=1/;section=9;urlauth=anonymous')))).toBe('{0}\r\n')
    expect(await fetched(mary, await authorise(joe, url('INBOX/;uid=1/;section=5;urlauth=anonymous')))).toBe(
      '{3}\r\na\x80b',
    )
    const partial = await authorise(joe, url('INBOX/;uid=1/;section=1/;partial=7.5;urlauth=anonymous'))
    expect(await fetched(mary, partial)).toBe('{5}\r\npacem')
  })

  it('RFC 5524: BODY, BINARY and BODYPARTSTRUCTURE', async () => {
    const extended = async (section: string, items: string) => {
      const authorised = await authorise(joe, url(`INBOX/;uid=1/;section=${section};urlauth=anonymous`))
      const [line = '', end] = await mary(`URLFETCH ("${authorised}"${items})`)
      expect(end).toMatch(/^x OK/)
      return line.slice(`* URLFETCH "${authorised}" `.length)
    }
    expect(await extended('1', ' BINARY')).toBe(`(BINARY ${bellum})`)
    expect(await extended('1', '')).toBe(bellum)
    const png = '(BODYPARTSTRUCTURE ("image" "png" NIL NIL NIL'
    expect(await extended('2', ' BINARY BODYPARTSTRUCTURE')).toBe(
      `(BINARY ~{3}\r\nA\0B) ${png} "binary" 3 NIL NIL NIL NIL))`,
    )
    expect(await extended('2', ' BODYPARTSTRUCTURE')).toBe(`${png} "base64" 4 NIL NIL NIL NIL))`)
    expect(await extended('2', ' BODYPARTSTRUCTURE BODY')).toBe(
      `${png} "base64" 4 NIL NIL NIL NIL)) (BODY {4}\r\nQQBC)`,
    )
    expect(await extended('3', ' BODYPARTSTRUCTURE BINARY')).toMatch(/"x-blurdybloop" 1 .*\(BINARY NIL\)$/)
    expect(await extended('4', ' BODYPARTSTRUCTURE BINARY')).toMatch(/"binary" 8 1 .*\(BINARY \{8\}\r\none\r\ntwo\)$/s)
    expect(await extended('200', ' BODYPARTSTRUCTURE BODY')).toBe('NIL')
    for (const items of ['BODY BINARY', 'BODY BODY', 'SIZE', 'BODY '])
      expect((await mary(`URLFETCH ("${url('INBOX/;uid=1;urlauth=anonymous')}" ${items})`)).at(-1)).toMatch(/^x BAD/)
    expect((await mary('URLFETCH')).at(-1)).toMatch(/^x BAD/)
  })

  it('RESETKEY makes URLs void, of one mailbox or of all; keys outlive the process', async () => {
    await joe('CREATE Sent')
    await joe('APPEND Sent {5+}\r\nA: b\n')
    const inbox = await authorise(joe, url('INBOX/;uid=1/;section=1;urlauth=anonymous'))
    const sent = await authorise(joe, url('Sent/;uid=1;urlauth=anonymous'))
    expect(await authorise(joe, url('Sent/;uid=1;urlauth=anonymous'))).toBe(sent)
    await using twin = await imapd.twin()
    const there = await enter(other, twin)
    expect(await fetched(there, inbox)).toBe(bellum)
    expect((await joe('RESETKEY INBOX INTERNAL')).at(-1)).toMatch(/^x OK \[URLMECH INTERNAL\]/)
    expect(await fetched(there, inbox)).toBe('NIL')
    expect(await fetched(there, sent)).toBe('{5}\r\nA: b\n')
    const again = await authorise(joe, url('INBOX/;uid=1/;section=1;urlauth=anonymous'))
    expect(again).not.toBe(inbox)
    expect((await joe('RESETKEY')).at(-1)).toMatch(/^x OK/)
    for (const text of [again, sent]) expect(await fetched(mary, text)).toBe('NIL')
    expect((await joe('RESETKEY INBOX XSAMPLE')).at(-1)).toMatch(/^x NO/)
    expect((await joe('RESETKEY Nowhere')).at(-1)).toMatch(/^x NO/)
    expect((await joe('SELECT INBOX')).join('\n')).toContain('* OK [URLMECH INTERNAL]')
    there.close()
  })

  it('grants what its owner has, and no more: of a mailbox of somebody else, while he may read it', async () => {
    await joe('CREATE Shared')
    await joe('APPEND Shared {5+}\r\nA: b\n')
    await joe(`SETACL Shared ${other} lr`)
    const rump = url('Other%20Users/joe@example.org/Shared/;uid=1;urlauth=anonymous', 'mary%40example.org')
    const authorised = await authorise(mary, rump)
    expect(await fetched(submit, authorised)).toBe('{5}\r\nA: b\n')
    await joe(`DELETEACL Shared ${other}`)
    expect(await fetched(submit, authorised)).toBe('NIL')
    expect((await mary(`GENURLAUTH "${rump}" INTERNAL`)).at(-1)).toMatch(/^x BAD The mailbox/)
  })

  it('keys of mailboxes that are gone do not fill the account', async () => {
    await submit('CREATE One')
    await using store = openStore({ root: join(imapd.root, 'user'), clock: systemClock, log: logTo([]) })
    const account = store.account(submitter as UserId)
    await account.put(Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`urlauth/${index}`, 'a2V5'])))
    const rump = url('One/;uid=1;urlauth=anonymous', 'submitserver%40example.org')
    for (const command of [`GENURLAUTH "${rump}" INTERNAL`, 'RESETKEY One INTERNAL'])
      expect((await submit(command)).at(-1)).toMatch(/^x NO \[LIMIT\]/)
    expect((await submit('RESETKEY')).at(-1)).toMatch(/^x OK/)
    await authorise(submit, rump)
  })

  it('another mailbox of the same name is another one', async () => {
    await joe('CREATE Once')
    await joe('APPEND Once {5+}\r\nA: b\n')
    const authorised = await authorise(joe, url('Once/;uid=1;urlauth=anonymous'))
    await joe('DELETE Once')
    expect(await fetched(mary, authorised)).toBe('NIL')
    await joe('CREATE Once')
    await joe('APPEND Once {5+}\r\nC: d\n')
    expect(await fetched(mary, authorised)).toBe('NIL')
  })

  it('no key and no token reaches the log', async () => {
    const authorised = await authorise(joe, url('INBOX/;uid=1;urlauth=anonymous'))
    await fetched(mary, authorised)
    const token = authorised.slice(authorised.lastIndexOf(':') + 1)
    expect(JSON.stringify(imapd.records)).not.toContain(token)
    const root = join(imapd.root, 'user')
    const keys = readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .flatMap((entry) => [
        ...readFileSync(join(entry.parentPath, entry.name), 'latin1').matchAll(/urlauth\/[^"]+"[,:]"([^"]+)"/g),
      ])
      .map(([, key]) => key!)
    expect(keys.length).toBeGreaterThan(0)
    for (const key of keys) expect(JSON.stringify(imapd.records)).not.toContain(key)
  })
})
