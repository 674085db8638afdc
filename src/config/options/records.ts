/**
 * Names of the configuration that are not elements of ms.conf: the fields of ms_sync.xml (read by ../ms-sync.ts), directory
 * attributes (those of users are read by src/auth/directory), and an environment variable.
 */

import { loginMethods } from '../backend-record.ts'
import type { AttributeRow, OptionType } from '../option.ts'
import { daemons, directoryUsers, everything, sharedFolders } from './services.ts'

const record = 'xmldb/user and xmldb/user/backend'
const field = (name: string, type: OptionType, doc: string, parent = record): AttributeRow => ({
  section: '2.2.9.2',
  name,
  parent,
  type,
  services: ['ms_syncd'],
  doc,
})
const own = (name: string, type: OptionType, doc: string, parent = record): AttributeRow => ({
  ...field(name, type, doc, parent),
  own: true,
})
const provider = (name: string, type: OptionType, doc: string) => own(name, type, doc, 'xmldb/oauth_provider')
const protocols = ['pop', 'pop3', 'pops', 'pop3s', 'imap', 'imap4', 'imaps']

/** ms_sync.xml. UDB-01 to UDB-13 */
const userDatabase: readonly AttributeRow[] = [
  field('xmldb', 'list', 'Top element.', 'ms_sync.xml'),
  field('user', 'list', 'One user, or all users of a domain; its attributes describe the master backend.', 'xmldb'),
  field('backend', 'list', 'A further backend of the user.', 'xmldb/user'),
  field(
    'frontend_id',
    'string',
    'Required: user id as given here, or @domain for all users of a domain.',
    'xmldb/user',
  ),
  field(
    'backend_id',
    'string',
    'User id at the backend; @domain exchanges the domain, @ alone takes it away (own). Unset: the id as it was given at login.',
  ),
  field('host', 'string', 'Host; unset: ms_syncd_host.'),
  field('port', 'integer', 'Port; unset: ms_syncd_port, and without that the usual one of the protocol.'),
  {
    ...field('protocol', 'enum', 'Protocol; unset: ms_syncd_protocol.'),
    values: protocols,
  },
  field('password', 'password', 'Password at the backend; unset: the one of the login.'),
  field('mailbox', 'string', 'Mailbox for a POP3 backend (INBOX), prefix of the names for an IMAP backend (empty).'),
  {
    ...field(
      'login_delay',
      'integer',
      'Time between two synchronisations; unset: ms_sync_interval. A longer LOGIN-DELAY wins.',
    ),
    unit: 'seconds',
  },
  {
    ...field(
      'starttls',
      'boolean',
      'Whether STARTTLS or STLS is used; unset: the opposite of suppress_client_tls. Own: `required`.',
    ),
    values: ['true', 'false', 'required'],
  },
  {
    ...field('tls_verify', 'boolean', 'Whether the certificate has to verify; unset: backend_tls_verify.'),
    values: ['true', 'false'],
    own: true,
  },
  own(
    'tls_fingerprint',
    'list',
    'SHA-256 of the certificate or of its public key, hexadecimal; several with blanks between. Only these are taken, whoever signed them, and TLS is required.',
  ),
  own(
    'tls_ca_file',
    'path',
    'PEM file with the only authorities that count for this backend; unset: tls_ca_file of ms.conf.',
  ),
  {
    ...own(
      'tls_legacy',
      'boolean',
      'Takes TLS 1.0 and 1.1 and keys that are too weak; the log says so. Certificates have to verify all the same.',
    ),
    values: ['true', 'false'],
  },
  {
    ...own(
      'auth',
      'enum',
      'How to log in; unset: password, which chooses by what is offered and what protects the connection. oauth uses the tokens of oauth_provider. Every other value is this one method; command is USER and PASS, or LOGIN.',
    ),
    values: loginMethods,
  },
  own(
    'oauth_provider',
    'string',
    'Name of the oauth_provider that gives tokens for this backend; with auth oauth, oauthbearer or xoauth2.',
  ),
  own(
    'master_user',
    'string',
    'A user of the backend who may log in for others: used for sessions that have no password of the user, never to decide about a login. TLS is required unless starttls is set.',
  ),
  own('master_password', 'password', 'Password of master_user.'),
  own('sieve_port', 'integer', 'Port of ManageSieve at this host, for migrations; unset: migration_sieve_port.'),
  own(
    'master_separator',
    'string',
    'What stands between user and master_user in the name of a login, as `*`; unset: the user is the authzid of a SASL login.',
  ),
  own('oauth_provider', 'list', 'Who gives access tokens for backends; its attributes follow.', 'xmldb'),
  ...[
    provider('name', 'string', 'Required: what records call it.'),
    { ...provider('preset', 'enum', 'Endpoints and scopes of a large provider.'), values: ['google', 'microsoft'] },
    provider('tenant', 'string', 'Directory of the preset microsoft, its id or domain; unset: common.'),
    provider('client_id', 'string', 'Required: the id that the provider gave to this installation.'),
    provider('client_secret', 'password', 'Its secret, where it has one.'),
    {
      ...provider(
        'grant',
        'enum',
        'user (default): each user consents, by `msadm oauth consent`; service: the client has the right to all mailboxes (client credentials).',
      ),
      values: ['user', 'service'],
    },
    provider('token_endpoint', 'url', 'RFC 6749; needed without a preset.'),
    provider('authorization_endpoint', 'url', 'RFC 6749; for consent in a browser.'),
    provider('device_endpoint', 'url', 'RFC 8628; for consent with a code on another device.'),
    provider('scope', 'string', 'What is asked for, blanks between.'),
  ],
]

interface Directory {
  readonly section: string
  readonly type: OptionType
  readonly services: AttributeRow['services']
  readonly doc: string
  readonly unit?: AttributeRow['unit']
  readonly values?: readonly string[]
}
const entry = (parent: string, name: string, row: Directory): AttributeRow => ({ ...row, name, parent, ldap: name })

const user = 'ldap:user-entry'
const dsa = 'ldap:dsa-entry'
const sharedRoot = 'ldap:shared-root-entry'
const administration = ['IMA'] as const
const login = ['imapd', 'pop3d', 'sieved'] as const

const directoryAttributes: readonly AttributeRow[] = [
  entry('ldap:server-entry', 'mboxListeners', {
    section: '2.2.4.1',
    type: 'url',
    services: ['imapd', 'pop3d', 'lmtpd', 'sieved', 'mseventd', 'mlogd'],
    values: ['imap', 'imaps', 'pop', 'pop3s', 'lmtp', 'sieve', 'isode.event', 'isode.log'],
    doc: 'All listeners as URLs; in ms.conf the options for host and port of each service.',
  }),
  entry(user, 'isodeMboxMasterBackend', {
    section: '2.2.9.2',
    type: 'url',
    services: ['ms_syncd'],
    doc: 'Master backend of a user, the one that authenticates.',
  }),
  entry(user, 'mboxBackends', {
    section: '2.2.9.2',
    type: 'url',
    services: ['ms_syncd'],
    doc: 'Backends of a user.',
  }),
  entry(user, 'cn', {
    section: '3.2.1',
    type: 'string',
    services: ['IMA', 'msadm'],
    doc: 'Account name before the @.',
  }),
  entry(user, 'uid', {
    section: '3.2.1',
    type: 'string',
    services: ['IMA', 'msadm', ...login],
    doc: 'Account name, used to log in.',
  }),
  entry(user, 'userPassword', {
    section: '3.2.1.1',
    type: 'password',
    services: [...login, 'msadm'],
    doc: 'Password.',
  }),
  entry(user, 'mailLocalAddress', {
    section: '3.2.1.2',
    type: 'list',
    services: ['lmtpd', 'msadm'],
    doc: 'Addresses whose mail goes to the account.',
  }),
  entry(user, 'givenName', { section: '3.2.2.1', type: 'string', services: administration, doc: 'First name.' }),
  entry(user, 'surname', { section: '3.2.2.2', type: 'string', services: administration, doc: 'Family name.' }),
  entry(user, 'displayName', { section: '3.2.2.3', type: 'string', services: administration, doc: 'Full name.' }),
  entry(user, 'mboxMessageSizeQuota', {
    section: '3.2.3.1',
    type: 'integer',
    unit: 'KB',
    services: ['imapd', 'lmtpd', 'ms_syncd', 'msadm'],
    doc: 'Quota of the user; unset: quota_limit.',
  }),
  {
    ...entry(user, 'mboxMessageCountQuota', {
      section: '3.2.3.1',
      type: 'integer',
      services: ['imapd', 'lmtpd', 'msadm'],
      doc: 'How many messages the user may have; unset: quota_messages.',
    }),
    own: true,
  },
  entry(user, 'mboxRootUserDir', {
    section: '2.2.6.3',
    type: 'path',
    services: ['imapd', 'pop3d', 'lmtpd', 'sieved', 'msadmind', 'ms_syncd', 'msadm'],
    doc: 'Mail directory of the user; unset: below userdir.',
  }),
  entry(user, 'isodeMboxMailExpirationPolicy', {
    section: '3.2.4',
    type: 'list',
    unit: 'seconds',
    services: ['msadm'],
    doc: 'Expiry rules of the user; unset: expiration_policy.',
  }),
  entry(user, 'mailRoutingAddress', { section: '3.2.4', type: 'string', services: ['msadm'], doc: 'Routing address.' }),
  entry(user, 'ir-userName', { section: '3.2.4', type: 'string', services: ['msadm'], doc: 'User name for routing.' }),
  entry(user, 'mail', { section: '2.2.15.1', type: 'string', services: ['msadm'], doc: 'Primary address.' }),
  entry(user, 'inetUserStatus', {
    section: '4.1.3.5',
    type: 'string',
    services: ['msadm', ...login],
    doc: 'State of the account.',
  }),
  {
    ...entry(user, 'mboxServiceAccess', {
      section: '3.2.4',
      type: 'list',
      services: ['msadm', ...login],
      doc: 'Rules for services, such as `pop deny`; unset: accessible_services.',
    }),
    own: true,
  },
  entry(dsa, 'saslUsernameAttribute', {
    section: '3.2.1',
    type: 'string',
    services: [...directoryUsers, 'IMA'],
    doc: 'Attribute that holds the account name.',
  }),
  entry(dsa, 'saslDomainAttribute', {
    section: '4.1.3.6',
    type: 'string',
    services: [...directoryUsers, 'IMA'],
    doc: 'Attribute that names domain entries.',
  }),
  entry(sharedRoot, 'mboxMessageSizeQuota', {
    section: '5.4',
    type: 'integer',
    unit: 'KB',
    services: administration,
    doc: 'Quota of a shared hierarchy; without effect in the original too.',
  }),
  entry(sharedRoot, 'mboxAccessControlList', {
    section: '5.5',
    type: 'list',
    services: sharedFolders,
    doc: 'Rights on a shared hierarchy.',
  }),
  entry(sharedRoot, 'description', { section: '5.6', type: 'string', services: administration, doc: 'Free text.' }),
  entry(sharedRoot, 'mboxFolderStatus', {
    section: '5.7',
    type: 'enum',
    values: ['Active', 'Deleted'],
    services: ['imapd', 'lmtpd', 'msadmind', 'IMA'],
    doc: 'Active, or Deleted to have it removed.',
  }),
]

const environment: readonly AttributeRow[] = [
  {
    section: '2.3.2.3',
    name: 'LOGTAILOR',
    parent: 'environment',
    type: 'path',
    services: everything.filter((service) => daemons.includes(service) || service === 'msadm' || service === 'msstat'),
    doc: 'File of the general logging configuration.',
  },
]

export const recordRows: readonly AttributeRow[] = [...userDatabase, ...directoryAttributes, ...environment]
