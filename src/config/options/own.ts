/** Options that only this product has. Their section is 'own', so that the reference marks them. */
import { Invalid, optionsOf, quote, textOf } from '../option.ts'
import { daemons, everything } from './services.ts'

const { boolean, choice, custom, integer, password, path, string } = optionsOf('ms_options')

/** Hours in which a backend host is left alone. */
export interface QuietSpan {
  /** As the backends name it, lower case; `*` is every host. */
  readonly host: string
  /** Minutes of the day, local time; `from` above `to` goes over midnight. */
  readonly from: number
  readonly to: number
}

const keptBeside = ['quota', 'acl', 'metadata', 'sieve'] as const
/** What an old server has beside mail, and can be taken over. */
export type KeptBeside = (typeof keptBeside)[number]

const minutesOf = (hours: string, minutes: string): number => Number(hours) * 60 + Number(minutes)

export const ownOptions = {
  config_cache: path({
    section: 'own',
    default: '/var/isode/ms/config_cache',
    services: everything,
    reload: 'restart',
    doc: 'File with the configuration that the directory (config_location) gave last, for the time when it is away. Nobody else may write to it, or read it.',
  }),
  config_refresh: integer({
    section: 'own',
    default: 300,
    unit: 'seconds',
    min: 0,
    max: 86_400,
    services: daemons,
    reload: 'restart',
    doc: 'How often a running service looks whether the directory (config_location) has another configuration; 0: only at SIGHUP. While the directory is away it is asked again each ldap_connect_retry_pause.',
  }),
  imap_server_admin: custom<string | undefined>(
    {
      section: 'own',
      default: undefined,
      services: ['imapd'],
      reload: 'live',
      doc: 'How users reach the administrator: /shared/admin of the server in METADATA (RFC 5464).',
    },
    {
      type: 'string',
      valid: 'a URI, such as mailto:postmaster@example.org',
      read: (element) => {
        const uri = textOf(element)
        if (!/^[a-z][a-z0-9+.-]*:[!-~]+$/i.test(uri)) throw new Invalid(`${quote(uri)} is not a URI`)
        return uri
      },
    },
  ),
  imap_server_comment: string({
    section: 'own',
    valid: 'text',
    services: ['imapd'],
    reload: 'live',
    doc: 'A note to all users: /shared/comment of the server in METADATA (RFC 5464).',
  }),
  submit_user: string({
    section: 'own',
    valid: 'a user name',
    services: ['lmtpd', 'ms_syncd'],
    reload: 'live',
    doc: 'User name for the submission server (SMTP AUTH). Unless submit_host is this machine, it has to offer STARTTLS with a certificate that verifies: nothing is submitted otherwise.',
  }),
  submit_password: password({
    section: 'own',
    services: ['lmtpd', 'ms_syncd'],
    reload: 'live',
    doc: 'Password for submit_user.',
  }),
  migration_keep: custom<readonly KeptBeside[]>(
    {
      section: 'own',
      default: keptBeside,
      services: ['ms_syncd'],
      reload: 'live',
      doc: 'With auto_migrate, what is taken over from an old server beside mail. From one of IMAP `quota`, the limits of a user for whom nothing else is said here; `acl`, the rights that users gave others on their mailboxes; `metadata`, their annotations of mailboxes; and from a server of either protocol `sieve`, their Sieve scripts, by ManageSieve (migration_sieve_port). What could not be is told by `msadm migrate --list`.',
    },
    {
      type: 'list',
      valid: 'none, or words separated by blanks: quota, acl, metadata, sieve',
      read: (element) => {
        const words = textOf(element)
          .toLowerCase()
          .split(/[\s,]+/)
          .filter((word) => word !== '')
        if (words.length === 1 && words[0] === 'none') return []
        if (words.length === 0) throw new Invalid('is empty; none takes nothing over')
        return words.map((word) => {
          const known = keptBeside.find((name) => name === word)
          if (known === undefined) throw new Invalid(`${quote(word)} is not known`)
          return known
        })
      },
    },
  ),
  migration_sieve_port: integer({
    section: 'own',
    default: 4190,
    min: 1,
    max: 65_535,
    services: ['ms_syncd'],
    reload: 'live',
    doc: "Port of ManageSieve at the hosts of old servers, where ms_sync.xml names no other (sieve_port): users' scripts are fetched there (migration_keep).",
  }),
  migration_routing: choice({
    section: 'own',
    default: 'pull',
    values: ['pull', 'proxy'],
    services: ['ms_syncd'],
    reload: 'live',
    doc: 'With auto_migrate, where a login goes of a user who has no account here yet, or one that waits (`msadm add -m`): pull, his mail is brought here; proxy, his session is passed through to the old server, until `msadm migrate` brings it.',
  }),
  rollback_days: integer({
    section: 'own',
    default: 30,
    unit: 'days',
    min: 0,
    max: 3_650,
    services: ['ms_syncd'],
    reload: 'live',
    doc: 'For how long after its migration an account can be given back to the old server (`msadm rollback`); 0: never. One that was begun can be brought to its end, or ended, at any time.',
  }),
  account_db: path({
    section: 'own',
    default: '/var/isode/ms/accounts',
    services: ['imapd', 'pop3d', 'sieved', 'msadm'],
    reload: 'live',
    doc: 'Directory of the embedded accounts (`msadm add`), one file each; readable by the services only.',
  }),
  partitions: path({
    section: 'own',
    repeatable: true,
    services: ['imapd', 'pop3d', 'lmtpd', 'sieved', 'msadmind', 'ms_syncd', 'msadm'],
    reload: 'restart',
    doc: 'A further directory below which mail of users lives, on a disk of its own for instance. It has to be there; `msadm move` moves users.',
  }),
  archives: path({
    section: 'own',
    repeatable: true,
    services: ['imapd', 'pop3d', 'lmtpd', 'sieved', 'msadmind', 'ms_syncd', 'msadm'],
    reload: 'restart',
    doc: 'A directory of archived users, a copy of userdir on a read-only medium for instance: only read, never written. A user whose mail is in neither userdir nor a partition is looked for there.',
  }),
  partition_rule: choice({
    section: 'own',
    default: 'free',
    values: ['first', 'free', 'spread'],
    services: ['imapd', 'pop3d', 'lmtpd', 'sieved', 'msadmind', 'ms_syncd', 'msadm'],
    reload: 'restart',
    doc: 'Where the mail of a new user goes: `first` into userdir, `free` to where most space is free, `spread` evenly over userdir and all partitions.',
  }),
  quota_messages: integer({
    section: 'own',
    default: 0,
    min: 0,
    services: ['imapd', 'lmtpd', 'msadm'],
    reload: 'live',
    doc: 'Limit on the number of messages of a user, 0 is none; for users without a limit of their own.',
  }),
  failed_logins_per_minute: integer({
    section: 'own',
    default: 10,
    min: 0,
    max: 100_000,
    services: ['imapd', 'pop3d', 'sieved'],
    reload: 'live',
    doc: 'Wrong passwords in a minute, over all services: from one client address (IPv6: one /64), and three times as many for one user; 0 is no limit. An address from which the user logged in lately is limited by its own wrong ones for this user alone.',
  }),
  pop_login_delay: integer({
    section: 'own',
    default: 0,
    unit: 'seconds',
    min: 0,
    max: 86_400,
    services: ['pop3d'],
    reload: 'live',
    doc: 'Least time between two POP3 logins of a user, announced as LOGIN-DELAY (RFC 2449); 0: none.',
  }),
  require_client_tls: boolean({
    section: 'own',
    default: false,
    services: ['ms_syncd'],
    reload: 'live',
    doc: 'Refuses pop and imap backends where STLS or STARTTLS is missing or fails, instead of going on unprotected.',
  }),
  backend_tls_verify: boolean({
    section: 'own',
    default: true,
    services: ['ms_syncd'],
    reload: 'live',
    doc: 'Certificates of pops and imaps backends, and of those with required STARTTLS, must verify, by tls_ca_file or the authorities built into Node; those of the system count with NODE_USE_SYSTEM_CA=1.',
  }),
  undelete_days: integer({
    section: 'own',
    default: 7,
    unit: 'days',
    min: 0,
    max: 3650,
    services: ['imapd', 'pop3d', 'ms_syncd', 'msadm'],
    reload: 'live',
    doc: 'How long expunged messages and deleted mailboxes stay on disk, for `msadm undelete`; 0: messages go after a minute, mailboxes at once.',
  }),
  oauth_state: path({
    section: 'own',
    default: '/var/isode/ms/oauth',
    services: ['ms_syncd', 'msadm'],
    reload: 'live',
    doc: 'Directory of the consents (OAuth refresh tokens) for backends, one file each; readable by the services only.',
  }),
  oauth_key_file: path({
    section: 'own',
    services: ['ms_syncd', 'msadm'],
    reload: 'live',
    doc: 'File with 32 or more random octets: refresh tokens in oauth_state are sealed with it (AES-256-GCM). Unset: they are in clear, and the mode of the files protects them. Keep it where backups of oauth_state do not go.',
  }),
  certificate_key_file: path({
    section: 'own',
    services: ['ms_syncd', 'msadm'],
    reload: 'live',
    doc: 'PEM file with the Ed25519 key that signs certificates of migrations (openssl genpkey -algorithm ed25519). Unset: one is made in .gateway/certificates of userdir when it is needed first, mode 0600.',
  }),
  migration_key_file: path({
    section: 'own',
    services: ['ms_syncd'],
    reload: 'restart',
    doc: 'File with 32 or more random octets: passwords of users whose mail is being pulled are sealed with it (AES-256-GCM) in the records of migrations, beside the mail, so that a pull goes on after a restart. Unset: they are in memory only, and a pull goes on at the next login. Keep it where backups of the mail do not go.',
  }),
  backend_connections: integer({
    section: 'own',
    default: 64,
    min: 1,
    max: 10_000,
    services: ['ms_syncd'],
    reload: 'restart',
    doc: 'Backend sessions that run at the same time; one backend host gets at most half of them.',
  }),
  poll_without_client: boolean({
    section: 'own',
    default: false,
    services: ['ms_syncd'],
    reload: 'live',
    doc: 'Polls users whose backends have a password in ms_sync.xml from the start of ms_syncd on, whether or not a client is connected, so that the mail is here when one connects. Records of domains name nobody.',
  }),
  backend_quiet_hours: custom<QuietSpan | undefined>(
    {
      section: 'own',
      default: undefined,
      repeatable: true,
      services: ['ms_syncd'],
      reload: 'live',
      doc: 'Hours, in local time, in which the backends of a host (or of all: *) are not polled; logins go through.',
    },
    {
      type: 'string',
      valid: 'a host as the backends name it, or *, and hours: pop.example.net 22:00-06:30',
      read: (element) => {
        const text = textOf(element)
        const found = /^([^\s/]{1,255})\s+([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/.exec(text)
        if (found === null) throw new Invalid(`${quote(text)} is not a host and hours`)
        const [, host, fromHours, fromMinutes, toHours, toMinutes] = found as unknown as readonly [
          string,
          string,
          string,
          string,
          string,
          string,
        ]
        return { host: host.toLowerCase(), from: minutesOf(fromHours, fromMinutes), to: minutesOf(toHours, toMinutes) }
      },
    },
  ),
  cccp_failure: choice({
    section: 'own',
    default: 'hold',
    values: ['hold', 'pass'],
    services: ['ms_syncd'],
    reload: 'live',
    doc: 'Messages that the content checking server could not be asked about: `hold` leaves them at the backend and asks again, `pass` lets them through unchecked.',
  }),
  cccp_timeout: integer({
    section: 'own',
    default: 60,
    unit: 'seconds',
    min: 1,
    max: 3600,
    services: ['ms_syncd'],
    reload: 'live',
    doc: 'Time that the content checking server has for one message.',
  }),
  cccp_max_size: integer({
    section: 'own',
    default: 51_200,
    unit: 'KB',
    min: 1,
    max: 1_048_576,
    services: ['ms_syncd'],
    reload: 'live',
    doc: 'Largest message that the content checking server is asked about, and that it may answer with. In place of a larger one a stub is shown.',
  }),
}
