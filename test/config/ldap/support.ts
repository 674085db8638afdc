import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { base, type Slapd, service } from '../../support/slapd.ts'

export const serverDn = `cn=mail.myisp.net,cn=Servers,${base}`
export const container = (dn: string) =>
  `dn: ${dn}\nobjectClass: untypedObject\nobjectClass: top\n${/^(\w+)=([^,]+)/.exec(dn)!.slice(1).join(': ')}`

/** LDAP-12: the server of appendix C, with paths of this system. */
export const serverEntry = (...lines: readonly string[]): string =>
  [
    `dn: ${serverDn}`,
    'objectClass: mboxVirtualDomain',
    'objectClass: mboxStoreTailoringObject',
    'objectClass: top',
    'cn: mail.myisp.net',
    ...lines,
  ].join('\n')

export const appendixC: readonly string[] = [
  container(`cn=Servers,${base}`),
  serverEntry(
    'uid: pp',
    'mt-local-domain-site: imap.myisp.net',
    'mboxRootUserDir: /srv/mail/users',
    'mboxRootSharedDir: /srv/mail/shared',
    'mboxCleartextLoginDisabled: FALSE',
    'mboxListeners: lmtp://mail.example.com:2003',
    'mboxTelemetryLogDir: /srv/mail/traces',
  ),
  container(`cn=Shared Folders,${serverDn}`),
  [
    `dn: cn=staff,cn=Shared Folders,${serverDn}`,
    'objectClass: mboxSharedMailboxRoot',
    'objectClass: top',
    'cn: staff',
    'description: Myisp.net internal shared folder',
    'mailboxRoot: /srv/mail/shared/staff',
    'mboxAccessControlList: usera all',
    'mboxAccessControlList: userb read,write',
  ].join('\n'),
  container(`cn=Groups,${serverDn}`),
  `dn: cn=people,cn=Groups,${serverDn}\nobjectClass: mboxGroup\ncn: people\nmboxGroupMember: usera\nmboxGroupMember: userb`,
]

/** How ms.conf leads to a slapd of test/support. */
export const leadTo = (location: string, more = ''): string => `<ms_options>
<config_location>${location}</config_location>
<ldap_bind_method>SIMPLE</ldap_bind_method>
<ldap_bind_dn>${service.dn}</ldap_bind_dn>
<ldap_bind_pwd>${service.password}</ldap_bind_pwd>
<ldap_basedn>${serverDn}</ldap_basedn>
<ldap_connect_retries>2</ldap_connect_retries>
<ldap_connect_retry_pause>0</ldap_connect_retry_pause>
<config_cache>cache</config_cache>
${more}
</ms_options>`

/** A file and its directory, which ends with the test. */
export const confFile = async (text: string): Promise<{ readonly file: string; readonly cache: string }> => {
  const directory = await mkdtemp(join(tmpdir(), 'conf-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const file = join(directory, 'ms.conf')
  await writeFile(file, text)
  return { file, cache: join(directory, 'cache') }
}

/** Replaces the attributes of the server's entry. */
export const setServer = (slapd: Slapd, ...lines: readonly string[]) => {
  slapd.modify(
    `dn: ${serverDn}\nchangetype: modify\n${lines.map((line) => `replace: ${line.split(':')[0]}\n${line}`).join('\n-\n')}\n`,
  )
}
