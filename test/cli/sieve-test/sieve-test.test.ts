/** sieve-test: what scripts would do, and test scripts. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { sieveTest } from '#src/cli/sieve-test/sieve-test.ts'
import { scriptsOf } from '#src/store/scripts.ts'
import { openStore } from '#src/store/store.ts'

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'sieve-test-'))
})
afterAll(() => rmSync(directory, { recursive: true }))

const file = (name: string, text: string): string => {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

async function call(args: readonly string[], input = '') {
  const told = { out: '', err: '' }
  const collect = (name: 'out' | 'err') =>
    new Writable({
      write: (chunk, _, done) => {
        told[name] += chunk
        done()
      },
    })
  const status = await sieveTest(args, {
    input: Readable.from([Buffer.from(input)]),
    out: collect('out'),
    err: collect('err'),
  })
  return { status, ...told }
}

const message =
  'Return-Path: <anna@example.org>\nFrom: Anna <a@example.org>\nTo: joe@example.com\nSubject: Buy now\n\nCheap.\n'

describe('a script and a message', () => {
  it('are told in words what would be done', async () => {
    const script = file(
      'a.sieve',
      'require ["fileinto", "imap4flags", "envelope"];\nif envelope "from" "anna@example.org" { fileinto :flags "\\\\Seen" "Ä"; }\nredirect "x@example.net";\n',
    )
    expect(await call([script, file('m.eml', message)])).toEqual({
      status: 0,
      out: 'file into "Ä", with the flags \\Seen\nsend on to x@example.net\n',
      err: '',
    })
    expect((await call(['-f', '', script, '-'], message)).out).toBe('send on to x@example.net\n')
  })

  it('with --trace show each command and test, with its line and result', async () => {
    const script = file('t.sieve', 'if header :contains "subject" "buy" {\n  discard;\n}\n')
    const { out } = await call(['--trace', script, '-'], message)
    expect(out.split('\n').map((line) => line.replace(/ +/g, ' ').trim())).toEqual([
      expect.stringMatching(/^1 if if header/),
      expect.stringMatching(/^1 header: true/),
      '2 discard discard;',
      'discard',
      '',
    ])
    const { steps, actions, envelope } = JSON.parse((await call(['--json', '-t', script, '-'], message)).out)
    expect(steps).toContainEqual({ line: 1, text: 'header: true' })
    expect(actions).toEqual([{ type: 'discard' }])
    expect(envelope).toEqual({ from: 'anna@example.org', to: 'joe@example.com' })
  })

  it('tells errors of the script with their places, and what it may not require', async () => {
    const script = file('wrong.sieve', 'require "fileinto";\nnonsense;\n')
    expect(await call([script, '-'], message)).toMatchObject({
      status: 1,
      out: '',
      err: expect.stringMatching(/^error: line 2, column 1: /),
    })
    expect(await call(['-x-fileinto', script, '-'], message)).toMatchObject({
      status: 1,
      err: expect.stringMatching(/^error: line 1, /),
    })
    expect(JSON.parse((await call(['--json', script, '-'], message)).out).errors[0]).toMatchObject({ line: 2 })
  })

  it('says what is wrong with its words', async () => {
    for (const words of [[], ['a'], ['-', '-'], ['a', 'b', 'c'], ['-x', 'none', 'a', 'b'], ['--colour', 'a', 'b']])
      expect((await call(words)).status, words.join(' ')).toBe(64)
    expect((await call([join(directory, 'absent'), '-'])).status).toBe(66)
  })
})

it('--user runs the script of the site and the active one of the user, with what he has, and changes nothing', async () => {
  const userdir = join(directory, 'user')
  const store = openStore({ root: userdir, clock: systemClock, log: silentLog })
  const account = store.account('joe@example.com' as UserId)
  await account.ensure()
  await account.create('Offers')
  const limits = { scripts: 5, octets: 10_000 }
  await scriptsOf(account).put(
    'own',
    'require ["fileinto", "mailbox"];\nif mailboxexists "Offers" { fileinto "Offers"; }',
    limits,
  )
  await scriptsOf(account).activate('own')
  await store.close()
  const site = file('site.sieve', 'if header "subject" "spam" { discard; }')
  const conf = file(
    'ms.conf',
    `<ms_options><account_db>accounts</account_db><userdir>user</userdir><domain>example.com</domain><msgtrack_db>track</msgtrack_db><global_sieve_script>${site}</global_sieve_script></ms_options>`,
  )
  const asked = (text: string, ...more: readonly string[]) => call(['-c', conf, '--user', 'joe', ...more, '-'], text)
  expect(await asked(message)).toEqual({ status: 0, out: 'file into "Offers"\n', err: '' })
  expect((await asked(message.replace('Buy now', 'spam'))).out).toBe('discard\n')
  expect((await asked(message, file('other.sieve', 'keep;'))).out).toBe('keep\n')
  expect(await call(['-c', conf, '--user', 'nobody', '-'], message)).toMatchObject({ status: 1 })
})

describe('test scripts', () => {
  const suite = `require ["vnd.dovecot.testsuite", "fileinto", "envelope", "relational", "comparator-i;ascii-numeric"];
test_set "message" text:
From: a@example.org
To: b@example.com
Subject: one

Body
.
;
test_set "envelope.from" "c@example.org";
test "message and envelope" {
  if not header "subject" "one" { test_fail "no subject"; }
  if not envelope "from" "c@example.org" { test_fail "no sender"; }
}
test "fails, and goes on behind it" {
  if true { test_fail "as \\"expected\\""; }
  test_fail "never";
}
test "a script that is compiled and run" {
  if not test_script_compile "inner.sieve" { test_fail "not compiled"; }
  if not test_script_run { test_fail "not run"; }
  if not test_result_action :index 1 "store" { test_fail "no store"; }
  if not test_result_action :count "eq" :comparator "i;ascii-numeric" "2" { test_fail "not two"; }
  test_mailbox_create "Folder";
  if not test_result_execute { test_fail "not done"; }
  test_message :folder "Folder" 0;
  if not header "to" "b@example.com" { test_fail "not stored"; }
  test_message :smtp 0;
  if not envelope "to" "d@example.net" { test_fail "not sent"; }
}
test "errors" {
  if test_script_compile "broken.sieve" { test_fail "compiled"; }
  if not test_error :index 1 :contains "nonsense" { test_fail "another error"; }
}
test_result_reset;
test_set "message" text:
From: a@example.org
Subject: two

Body
.
;
test "what the suite itself asks for" {
  fileinto "Missing";
  if test_result_execute { test_fail "done"; }
  test_result_reset;
  if not test_result_execute { test_fail "implicit keep"; }
  if not test_message :folder "Inbox" 1 { test_fail "not kept"; }
  if test_message :folder "INBOX" 7 { test_fail "too many"; }
}
`

  it('have their tests told one by one, and totals', async () => {
    file('inner.sieve', 'require ["fileinto", "copy"];\nfileinto "Folder";\nredirect :copy "d@example.net";\n')
    file('broken.sieve', 'nonsense;')
    const path = file('suite.svtest', suite)
    const { status, out } = await call([path])
    expect(out.split('\n').slice(1)).toEqual([
      '  PASS message and envelope',
      '  FAIL fails, and goes on behind it: line 16: as "expected"',
      '  PASS a script that is compiled and run',
      '  PASS errors',
      '  PASS what the suite itself asks for',
      '1 files, 4 tests pass, 1 fail',
      '',
    ])
    expect(status).toBe(1)
    const lines = (await call(['--json', path])).out.trim().split('\n')
    expect(lines.map((line) => JSON.parse(line)).at(-1)).toEqual({ files: 1, passed: 4, failed: 1 })
  })

  it('that do not compile, or fail outside of their tests, are failures', async () => {
    mkdirSync(join(directory, 'more'))
    const broken = file('more/broken.svtest', 'require "vnd.dovecot.testsuite"; nonsense;')
    const outside = file('more/outside.svtest', 'require "vnd.dovecot.testsuite"; test_set "colour" "red";')
    const { status, out } = await call([broken, outside])
    expect(status).toBe(1)
    expect(out.match(/FAIL \(the file\)/g)).toHaveLength(2)
    expect((await call([file('more/good.svtest', 'require "vnd.dovecot.testsuite"; test "a" { keep; }')])).status).toBe(
      0,
    )
  })
})
