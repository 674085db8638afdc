/** SRV-07 by the commands as they are run: cli.md §5 and the steps of the administration guide 2.1.5. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'

const bin = resolve(import.meta.dirname, '../../bin')
let directory: string
let file: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'spass-'))
  file = join(directory, 'ms.conf')
})
afterEach(() => rmSync(directory, { recursive: true }))

const run = (command: string, args: readonly string[], input = '') => {
  const { status, stdout, stderr } = spawnSync(join(bin, command), args, { input, encoding: 'utf8' })
  return { status, stdout, stderr }
}
const passphrase = '1234567890abcABC'
const set = (first: string, second = first, ...more: string[]) =>
  run('spassmgt', ['set', 'isode.mbox', ...more, '-c', file], `${first}\n${second}\n`)

it('the steps of the guide', () => {
  expect(set(passphrase)).toMatchObject({
    status: 0,
    stdout: '',
    stderr: expect.stringMatching(/^Passphrase: Re-enter: /),
  })
  expect(statSync(join(directory, 'servpass/isode.mbox')).mode & 0o777).toBe(0o600)
  const got = run('spassmgt', ['get', 'isode.mbox', '-c', file])
  expect(got).toMatchObject({ status: 0, stdout: expect.stringMatching(/^[\w-]{32}\n$/) })
  writeFileSync(
    file,
    `<ms_options>\n<servpass:info service="isode.mbox" verifier="${got.stdout.trim()}"/>\n<tls_cert_file>a.pem</tls_cert_file>\n<tls_key_password servpass:encrypt='true'>My#Secret7_pwd</tls_key_password>\n</ms_options>\n`,
  )
  expect(run('spasscrypt', ['-e', '-s', 'isode.mbox', '-x', file])).toMatchObject({
    status: 0,
    stdout: '1 password encrypted\n',
  })
  expect(readFileSync(file, 'utf8')).not.toContain('Secret7')
  expect(run('spasscrypt', ['-e', '-s', 'isode.mbox', '-x', file])).toMatchObject({
    status: 0,
    stdout: 'nothing to encrypt\n',
  })
})

it('a passphrase has capitals, small letters and digits, and is typed twice', () => {
  for (const weak of ['1234567890abc', '1234567890ABC', 'abcdefghABCD', 'aB3'])
    expect(set(weak)).toMatchObject({ status: 1, stderr: expect.stringContaining('the passphrase ') })
  expect(set(passphrase, `${passphrase}x`)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('not the same'),
  })
  expect(run('spassmgt', ['get', 'isode.mbox', '-c', file])).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('ENOENT'),
  })
})

it('wrong arguments are told', () => {
  expect(set(passphrase, passphrase, 'nobody-of-this-name')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('no user'),
  })
  expect(run('spassmgt', ['set', '../x', '-c', file]).status).toBe(64)
  expect(run('spassmgt', ['put', 'isode.mbox', '-c', file]).status).toBe(64)
  expect(run('spassmgt', ['get']).status).toBe(64)
  expect(run('spasscrypt', ['-s', 'isode.mbox']).status).toBe(64)
  expect(run('spasscrypt', ['--help']).stdout).toContain('spasscrypt -e -s SERVICE -x FILE')
})
