/** EXTERNAL: gsasl shows a certificate instead of a password. RFC 4422 appendix A */
import { X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emailAddresses } from '#src/server/client-names.ts'
import { type RunningImapd, startImapd } from '../imapd/support.ts'
import { type Certificates, certificates } from '../server/support/certificates.ts'
import { runClient } from '../support/client.ts'

const [anna, root, bert] = ['anna@example.org', 'root@example.org', 'bert@example.org']
let made: Certificates
let imapd: RunningImapd
const file = (name: string) => made.path(name)

beforeAll(async () => {
  made = certificates()
  made.make('server', { subjectAltName: 'DNS:localhost,IP:127.0.0.1' })
  made.make('authority', { authority: true })
  made.make('between', { authority: true, by: 'authority' })
  made.make('anna', { by: 'authority', subjectAltName: `DNS:elsewhere.example,email:${anna}` })
  made.make('both', { by: 'authority', subjectAltName: `email:${bert},email:${anna}` })
  made.make('root', { by: 'authority', subjectAltName: `email:${root}` })
  made.make('nameless', { by: 'authority' })
  made.make('deep', { by: 'between', subjectAltName: `email:${anna}` })
  made.make('stranger', { subjectAltName: `email:${anna}` })
  imapd = await startImapd([anna, root, bert], {
    tls_cert_file: file('server.pem'),
    tls_key_file: file('server.key'),
    tls_ca_file: file('authority.pem'),
    tls_verify_depth: 1,
    mech_list: ['EXTERNAL', 'PLAIN'],
    admin_user: root,
  })
})
afterAll(async () => {
  await imapd?.stop()
  made?.[Symbol.dispose]()
})

const gsasl = async (certificate: string, authzid = '') => {
  const { said } = await runClient('gsasl', [
    ...['--imap', `--connect=127.0.0.1:${imapd.port}`, '--hostname=localhost', '--mechanism=EXTERNAL'],
    ...['--starttls', `--x509-ca-file=${file('server.pem')}`, `--authorization-id=${authzid}`],
    ...[`--x509-cert-file=${file(`${certificate}.pem`)}`, `--x509-key-file=${file(`${certificate}.key`)}`],
  ])
  return /\. (OK \[CAPABILITY|NO \[\w+\])/.exec(said)?.[1] ?? said
}

describe('EXTERNAL', () => {
  it('AUTH-12 lets in the address of a certificate that verifies', async () => {
    expect(await gsasl('anna')).toBe('OK [CAPABILITY')
    expect(imapd.records.findLast(({ message }) => message === 'login')?.fields).toMatchObject({
      user: anna,
      mechanism: 'EXTERNAL',
      tls: true,
    })
  })

  it('takes the one of several addresses that the client names, and the first when it names none', async () => {
    const who = () => imapd.records.findLast(({ message }) => message === 'login')?.fields?.user
    expect([await gsasl('both'), who()]).toEqual(['OK [CAPABILITY', bert])
    expect([await gsasl('both', anna), who()]).toEqual(['OK [CAPABILITY', anna])
    expect([await gsasl('root', bert), who()]).toEqual(['OK [CAPABILITY', bert])
    expect(await gsasl('anna', bert)).toBe('NO [AUTHORIZATIONFAILED]')
  })

  it.each(['stranger', 'deep', 'nameless'])(
    'AUTH-12 TLS-07 neither offers nor takes it for the certificate of a %s one',
    async (name) => {
      expect(await gsasl(name)).toBe('NO [CANNOT]')
    },
  )

  it('leaves clients without a certificate alone', async () => {
    const { said } = await runClient('gsasl', [
      ...['--imap', `--connect=127.0.0.1:${imapd.port}`, '--hostname=localhost', '--mechanism=PLAIN'],
      ...['--starttls', `--x509-ca-file=${file('server.pem')}`, `--authentication-id=${anna}`, '--password=secret'],
    ])
    expect(said).toMatch(/AUTH=PLAIN/)
    expect(said).not.toMatch(/AUTH=EXTERNAL/)
    expect(said).toMatch(/Logged in/)
  })
})

it('reads the addresses of a certificate, and none that another name only looks like', () => {
  const names = [`URI.1 = "http://x/, email:${root}"`, `email.1 = ${anna}`]
  writeFileSync(
    file('odd.cnf'),
    ['[req]', 'distinguished_name = dn', '[dn]', '[ext]', 'subjectAltName = @names', '[names]', ...names, ''].join(
      '\n',
    ),
  )
  const request = ['req', '-x509', '-config', 'odd.cnf', '-key', 'anna.key', '-subj', '/CN=odd', '-out', 'odd.pem']
  made.openssl(...request, '-extensions', 'ext')
  const certificate = new X509Certificate(readFileSync(file('odd.pem')))
  expect(certificate.subjectAltName).toContain(root)
  expect(emailAddresses(certificate)).toEqual([anna])
  expect(emailAddresses(new X509Certificate(readFileSync(file('server.pem'))))).toEqual([])
})
