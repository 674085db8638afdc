/** The own attributes of ms_sync.xml: TLS, methods, master users, token providers. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadUserDatabase } from '#src/config/backends.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import { ConfigError, formatFinding } from '#src/config/finding.ts'

let directory: string
let file: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'record-'))
  file = join(directory, 'ms_sync.xml')
})
afterAll(() => rm(directory, { recursive: true }))

const load = async (body: string, options: ConfigOverrides = {}) => {
  await writeFile(file, `<xmldb>\n${body}\n</xmldb>`, { mode: 0o600 })
  const config = configOf({ ms_sync_userdb: file, ms_syncd_host: 'pop.example', ...options })
  const { database } = await loadUserDatabase(config)
  return database.find('joe@a.example', 'joe@a.example', config)!
}
const user = (attributes: string) => `<user frontend_id='joe@a.example' ${attributes}/>`
const errors = async (body: string, options: ConfigOverrides = {}): Promise<readonly string[]> => {
  try {
    await load(body, options)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.findings.map((finding) => formatFinding(finding).slice(file.length))
  }
  return []
}
const google = "<oauth_provider name='g' preset='google' client_id='id'/>\n"

describe('what a record says of TLS', () => {
  const sha = 'ab'.repeat(32)

  it('takes fingerprints as tools print them, and requires TLS then', async () => {
    const colons = sha.toUpperCase().replace(/..(?=.)/g, '$&:')
    const { master } = await load(user(`tls_fingerprint='SHA256:${colons} ${'0'.repeat(64)}'`))
    expect(master).toMatchObject({ tlsFingerprints: [sha, '0'.repeat(64)], startTls: 'required' })
  })

  it('reads authorities beside the file, and says which can not be read', async () => {
    await writeFile(join(directory, 'ca.pem'), '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n')
    expect((await load(user("tls_ca_file='ca.pem'"))).master.tlsCa).toContain('BEGIN CERTIFICATE')
    await writeFile(join(directory, 'key.pem'), 'nothing')
    expect(await errors(user("tls_ca_file='key.pem'"))).toEqual([
      ':2: tls_ca_file: key.pem has no certificate in PEM form',
    ])
    expect((await errors(user("tls_ca_file='none.pem'")))[0]).toMatch(
      /^:2: tls_ca_file: none.pem can't be read: ENOENT/,
    )
  })

  it.each([
    [
      "tls_fingerprint='abc'",
      'tls_fingerprint: "abc" is not valid; valid is the SHA-256 of a certificate or of its public key, 64 hexadecimal digits with or without colons; several with blanks between',
    ],
    [
      `tls_fingerprint='${sha}' tls_verify='false'`,
      'tls_verify: is false, and tls_fingerprint names the certificate all the same; remove one of them',
    ],
    [
      "protocol='pop' starttls='false' tls_legacy='true'",
      "starttls: is 'false', and tls_fingerprint, tls_ca_file or tls_legacy have no effect then; remove one of them",
    ],
  ])('refuses %s', async (attributes, message) => {
    expect(await errors(user(attributes))).toEqual([`:2: ${message}`])
  })
})

describe('a master user', () => {
  it('is a right of the gateway, and goes over TLS unless the record says otherwise', async () => {
    const attributes = "master_user='admin' master_password=' p '"
    const service = { type: 'master', user: 'admin', password: ' p ', separator: undefined }
    expect((await load(user(attributes))).master).toMatchObject({ service, startTls: 'required' })
    expect((await load(user(`${attributes} starttls='true' master_separator='*'`))).master).toMatchObject({
      service: { ...service, separator: '*' },
      startTls: 'offered',
    })
    expect((await load(user(''))).master).not.toHaveProperty('service')
  })

  it('is not inherited by further backends: they may be anybody', async () => {
    const body = `<user frontend_id='joe@a.example' master_user='admin' master_password='p'><backend host='other.example'/></user>`
    expect((await load(body)).extra[0]).not.toHaveProperty('service')
  })

  it.each([
    [
      "master_user='a'",
      'master_user: has a meaning only together with the other one; set both, master_user and master_password',
    ],
    [
      "master_password='a'",
      'master_password: has a meaning only together with the other one; set both, master_user and master_password',
    ],
    ["master_separator='*'", 'master_separator: has a meaning with master_user only'],
    [
      "master_user='a' master_password='b' auth='command'",
      'auth: "command" can\'t say for whom a master user logs in; valid is plain, or set master_separator',
    ],
  ])('refuses %s', async (attributes, message) => {
    expect(await errors(user(attributes))).toEqual([`:2: ${message}`])
  })
})

describe('token providers', () => {
  const oauth = "auth='oauth' oauth_provider='g'"
  const sync = { gateway_mode: false }

  it('belong to records by name', async () => {
    const { master } = await load(google + user(oauth), sync)
    expect(master).toMatchObject({
      auth: 'oauth',
      startTls: 'required',
      service: { type: 'token', provider: { name: 'g', preset: 'google', clientId: 'id', grant: 'user' } },
    })
  })

  it('are refused where a login has to be proven (GW-12), and may serve further backends there', async () => {
    const [error] = await errors(google + user(oauth), { gateway_mode: true })
    expect(error).toMatch(/^:3: auth: oauth can't prove a login: .* valid is a method for passwords, or sync_mode/)
    const further = `<user frontend_id='joe@a.example'><backend host='imap.example' ${oauth}/></user>`
    expect((await load(google + further, { gateway_mode: true })).extra[0]?.service?.type).toBe('token')
  })

  it.each([
    [user("auth='oauth'"), ':2: auth: "oauth" needs oauth_provider, the name of an <oauth_provider>'],
    [
      google + user("oauth_provider='g'"),
      ":3: oauth_provider: has a meaning with auth='oauth' only; set that, or remove oauth_provider",
    ],
    [user(oauth), ':2: oauth_provider: "g" is no <oauth_provider> of this file; there is none: add one'],
    [google + google, ':3: name: "g" is in line 2 already'],
    [
      google + user(`${oauth} starttls='true'`),
      ":3: starttls: must be 'required', or left out, where tokens are sent: they never go in clear",
    ],
    ["<oauth_provider name='x' preset='google'/>", ':2: client_id: is required in <oauth_provider>'],
    [
      "<oauth_provider name='x' client_id='i'/>",
      ":2: token_endpoint: is required in <oauth_provider>; or set preset='google' or preset='microsoft'",
    ],
    [
      "<oauth_provider name='x' client_id='i' token_endpoint='http://p.example/token'/>",
      ':2: token_endpoint: "http://p.example/token" is not valid; valid is an https URL',
    ],
    [
      "<oauth_provider name='x' client_id='i' preset='microsoft' grant='service' client_secret='s'/>",
      ":2: tenant: is required for grant='service': the directory whose users are meant",
    ],
    [
      "<oauth_provider name='x' client_id='i' preset='microsoft' tenant='t' grant='service'/>",
      ":2: client_secret: is required for grant='service'",
    ],
    [
      user("auth='kerberos'"),
      ':2: auth: "kerberos" is not valid; valid is one of password, oauth, command, apop, plain, login, cram-md5, scram-sha-1, scram-sha-256, oauthbearer, xoauth2',
    ],
  ])('refuses %s', async (body, message) => {
    expect(await errors(body, sync)).toEqual([message])
  })

  it('warn as passwords do when everybody can read their secret', async () => {
    const other = join(directory, 'open.xml')
    await writeFile(
      other,
      "<xmldb><oauth_provider name='g' preset='google' client_id='i' client_secret='s'/></xmldb>",
      { mode: 0o644 },
    )
    const { warnings } = await loadUserDatabase(configOf({ ms_sync_userdb: other, ms_syncd_host: 'pop.example' }))
    expect(warnings.map(formatFinding)).toEqual([`${other}: has passwords and is readable by everybody; chmod o-r`])
  })
})
