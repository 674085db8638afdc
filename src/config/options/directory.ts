/** Administration guide 2.2.1 and 2.2.2: where the configuration lives, and the directory (LDAP) that may hold it. */
import { optionsOf } from '../option.ts'
import { everything, sharedFolders } from './services.ts'

const { integer, password, string, words } = optionsOf('ms_options')

export const directoryOptions = {
  config_location: words({
    section: '2.2.1.1',
    default: ['local'],
    separators: /\s+/,
    valid: 'local, ldap:, or ldap://, ldaps:// and ldapi:// URLs separated by blanks',
    documentedAs: 'url',
    services: everything,
    reload: 'restart',
    doc: 'Where the configuration lives: `local` (this file), `ldap:` (ldap_server and ldap_port), or LDAP URLs tried in order.',
  }),
  ldap_server: string({
    section: '2.2.2.1',
    services: everything,
    reload: 'live',
    doc: 'Host of the LDAP server with configuration and users; not used when config_location has a URL.',
  }),
  ldap_port: integer({
    section: '2.2.2.2',
    default: 19389,
    min: 1,
    max: 65535,
    services: everything,
    reload: 'live',
    doc: 'Port that goes with ldap_server.',
  }),
  ldap_bind_dn: string({
    section: '2.2.2.3',
    services: everything,
    reload: 'live',
    doc: 'DN of a simple bind to the directory; not used with a SASL bind.',
  }),
  ldap_bind_id: string({
    section: '2.2.2.4',
    services: everything,
    reload: 'live',
    doc: 'User id of a SASL bind to the directory; not used with a simple bind.',
  }),
  ldap_bind_pwd: password({
    section: '2.2.2.5',
    services: ['imapd', 'pop3d', 'lmtpd', 'sieved', 'mseventd', 'msadmind', 'ms_syncd', 'msadm', 'msstat', 'IMA'],
    reload: 'live',
    doc: 'Password of ldap_bind_dn or ldap_bind_id.',
  }),
  ldap_bind_method: string({
    section: '2.2.2.6',
    default: 'DIGEST-MD5',
    valid: 'SIMPLE or the name of a SASL mechanism',
    documentedAs: 'enum',
    services: everything,
    reload: 'live',
    doc: '`SIMPLE` for a bind with ldap_bind_dn, otherwise the SASL mechanism to run with ldap_bind_id.',
  }),
  ldap_basedn: string({
    section: '2.2.2.7',
    services: everything,
    reload: 'restart',
    doc: "DN of this server's configuration entry.",
  }),
  ldap_shared_folders_dn: string({
    section: '2.2.2.8',
    services: sharedFolders,
    reload: 'restart',
    ldap: 'mboxSharedRootsDN',
    doc: 'DN below which shared folder roots are searched; unset: cn=Shared Folders below ldap_basedn.',
  }),
  dsa_config_dn: string({
    section: '2.2.2.9',
    default: 'cn=core,cn=config',
    services: everything,
    reload: 'restart',
    doc: "DN of the directory server's own entry, which tells how users are found; empty: not read.",
  }),
  ldap_connect_retries: integer({
    section: '2.2.2.10',
    default: 3,
    min: 0,
    max: 1000,
    services: everything,
    reload: 'live',
    doc: 'Attempts at connecting to the servers of config_location.',
  }),
  ldap_connect_retry_pause: integer({
    section: '2.2.2.11',
    default: 10,
    unit: 'seconds',
    min: 0,
    max: 3600,
    services: everything,
    reload: 'live',
    doc: 'Wait between two of these attempts.',
  }),
}
