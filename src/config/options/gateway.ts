/** Administration guide 2.2.9: gateway, migration and synchronisation. */
import { Invalid, optionsOf, quote, textOf } from '../option.ts'

const { boolean, choice, custom, integer, server } = optionsOf('ms_options')

/** GW-15 */
export const backendProtocolSynonyms = { pop3: 'pop', pop3s: 'pops', imap4: 'imap' } as const

export const gatewayOptions = {
  gateway_mode: boolean({
    section: '2.2.9.1',
    default: false,
    services: ['imapd', 'pop3d', 'ms_syncd'],
    reload: 'live',
    ldap: 'mboxGatewayMode',
    doc: 'The server is a gateway in front of POP3 and IMAP backends.',
  }),
  ms_syncd_protocol: choice({
    section: '2.2.9.2',
    default: 'pop',
    values: ['pop', 'pops', 'imap', 'imaps'],
    synonyms: backendProtocolSynonyms,
    services: ['ms_syncd'],
    reload: 'live',
    ldap: 'mboxBackends',
    doc: 'Protocol of the default backend; pops and imaps are TLS on a port of their own.',
  }),
  ms_syncd_host: server({
    section: '2.2.9.2',
    services: ['ms_syncd'],
    reload: 'live',
    ldap: 'mboxBackends',
    doc: 'Host of the default backend.',
  }),
  ms_syncd_port: integer({
    section: '2.2.9.2',
    min: 0,
    max: 65535,
    services: ['ms_syncd'],
    reload: 'live',
    ldap: 'mboxBackends',
    doc: 'Port of the default backend; unset or 0: the usual one of the protocol.',
  }),
  ms_sync_interval: integer({
    section: '2.2.9.3',
    default: 300,
    unit: 'seconds',
    min: 1,
    max: 604800,
    special: -1,
    services: ['ms_syncd'],
    reload: 'live',
    ldap: 'mboxSyncInterval',
    doc: 'Time between two looks at a backend for new mail while a client is connected; -1: only at connection and on an ms_sync event.',
  }),
  auto_migrate: boolean({
    section: '2.2.9.4',
    default: false,
    services: ['imapd', 'pop3d', 'ms_syncd'],
    reload: 'restart',
    ldap: 'mboxAutoMigrate',
    doc: 'Migration mode: the mail of a user who has no account here is pulled from the backend at the first login, and then he has one.',
  }),
  sync_mode: boolean({
    section: '2.2.9.5',
    default: false,
    services: ['imapd', 'ms_syncd'],
    reload: 'live',
    doc: 'Fetches mail as a gateway does (pop3d takes part too), while passwords are checked against local accounts. Together with gateway_mode: for those who have an account.',
  }),
  suppress_client_tls: boolean({
    section: '2.2.9.6',
    default: false,
    services: ['ms_syncd'],
    reload: 'live',
    doc: 'Never uses STLS or STARTTLS towards backends; when false it is used wherever offered.',
  }),
  backend_fast_login: boolean({
    section: '2.2.9.7',
    default: false,
    services: ['ms_syncd', 'imapd', 'pop3d'],
    reload: 'live',
    doc: 'A login completes as soon as the master backend accepted it; false: when synchronisation is complete.',
  }),
  backend_fetch_set_size: integer({
    section: '2.2.9.8',
    default: 100,
    min: 1,
    max: 10000000,
    services: ['ms_syncd'],
    reload: 'live',
    doc: 'Messages asked for in one FETCH of an IMAP backend.',
  }),
  ignore_frontend_deletes: boolean({
    section: '2.2.9.9',
    default: false,
    services: ['ms_syncd'],
    reload: 'live',
    doc: 'Messages deleted here stay on POP3 backends; IMAP backends are not affected.',
  }),
  smtp_injection: boolean({
    section: '2.2.9.10',
    default: false,
    services: ['ms_syncd'],
    reload: 'live',
    doc: 'Fetched messages are submitted to submit_host by SMTP instead of being stored directly.',
  }),
  smtp_injection_sender: custom<string | undefined>(
    {
      section: '2.2.9.11',
      default: undefined,
      computed: 'mssync@<domain>',
      services: ['ms_syncd'],
      reload: 'live',
      doc: 'MAIL FROM of smtp_injection: who is told when a message can not be delivered.',
    },
    {
      type: 'string',
      valid: 'a mail address',
      read: (element) => {
        const text = textOf(element)
        if (!/^[^\s<>@]{1,64}@[^\s<>@]{1,255}$/.test(text)) throw new Invalid(`${quote(text)} is not a mail address`)
        return text
      },
    },
  ),
  cccp_host: server({
    section: '2.2.9.12',
    services: ['ms_syncd'],
    reload: 'live',
    doc: 'Host of the content checking server that every fetched message passes.',
  }),
  cccp_port: integer({
    section: '2.2.9.12',
    default: 18003,
    min: 1,
    max: 65535,
    services: ['ms_syncd'],
    reload: 'live',
    doc: 'Port of the content checking server.',
  }),
  fetch_last_n: integer({
    section: '2.2.9.13',
    default: 0,
    min: 0,
    services: ['ms_syncd'],
    reload: 'live',
    ldap: 'isodeMboxFetchLastN',
    doc: 'Number of newest backend messages that are shown; 0 shows all.',
  }),
  sync_inbox_only: boolean({
    section: '2.2.9.14',
    default: false,
    services: ['ms_syncd'],
    reload: 'live',
    doc: 'Synchronises only INBOX of IMAP backends.',
  }),
}
