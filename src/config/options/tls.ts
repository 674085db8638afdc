/** Administration guide 2.2.12: TLS of the services. */
import { optionsOf } from '../option.ts'
import { tlsUsers } from './services.ts'

const { boolean, integer, password, path, string } = optionsOf('ms_options')

export const tlsOptions = {
  enable_imaps: boolean({
    section: '2.2.12.1',
    default: false,
    services: ['imapd'],
    reload: 'restart',
    doc: 'Listens for IMAP over TLS.',
  }),
  enable_pop3s: boolean({
    section: '2.2.12.2',
    default: false,
    services: ['pop3d'],
    reload: 'restart',
    doc: 'Listens for POP3 over TLS.',
  }),
  tls_cipher_list: string({
    section: '2.2.12.3',
    default: 'DEFAULT',
    valid: 'names of suites or groups, separated by blanks, colons or commas',
    documentedAs: 'list',
    services: tlsUsers,
    reload: 'live',
    ldap: 'mboxTlsCipherList',
    doc: 'Cipher suites that may be used, in the notation of appendix D: DEFAULT, HIGH, !AES128, ECDHE+AESGCM, +RSA, @STRENGTH … A name whose suites OpenSSL has no more is a warning.',
  }),
  tls_ca_file: path({
    section: '2.2.12.4',
    services: tlsUsers,
    reload: 'live',
    ldap: 'mboxTlsCaFile',
    doc: 'PEM file of CA certificates: the only ones for certificates of clients (tls_require_client_cert), and beside those built into Node for backends.',
  }),
  tls_ca_path: path({
    section: '2.2.12.5',
    services: tlsUsers,
    reload: 'live',
    ldap: 'mboxTlsCaPath',
    doc: 'Directory of PEM files (.pem, .crt, .0) of CA certificates for certificates of clients, looked at while one is verified; backends are judged without it.',
  }),
  tls_cert_file: path({
    section: '2.2.12.6',
    repeatable: true,
    services: tlsUsers,
    reload: 'live',
    ldap: 'mboxTlsCertFile',
    doc: 'Certificate of the server: .pem and .crt are PEM, .der is DER, .p12 is PKCS#12. Of two, with an ECDSA and an RSA key, the former is preferred.',
  }),
  tls_key_file: path({
    section: '2.2.12.7',
    repeatable: true,
    services: tlsUsers,
    reload: 'live',
    ldap: 'mboxTlsKeyFile',
    doc: 'Its private key; unset: in tls_cert_file. Not used with PKCS#12. Of several the n-th belongs to the n-th tls_cert_file.',
  }),
  tls_key_password: password({
    section: '2.2.12.8',
    default: '',
    services: tlsUsers,
    reload: 'live',
    ldap: 'mboxTlsKeyPassword',
    doc: 'Password of the private key; empty: none.',
  }),
  tls_require_client_cert: boolean({
    section: '2.2.12.9',
    default: false,
    services: ['imapd', 'pop3d', 'sieved', 'lmtpd'],
    reload: 'live',
    ldap: 'mboxTlsRequireClientCert',
    doc: 'TLS fails for clients without a certificate. Clients are asked for one, and may go without, when mech_list names EXTERNAL.',
  }),
  tls_verify_depth: integer({
    section: '2.2.12.10',
    default: 5,
    min: 1,
    max: 100,
    services: tlsUsers,
    reload: 'live',
    ldap: 'mboxTlsVerifyDepth',
    doc: 'Longest certificate chain that is followed.',
  }),
  tls_force_verify: boolean({
    section: '2.2.12.11',
    default: true,
    services: ['imapd', 'pop3d', 'sieved', 'lmtpd'],
    reload: 'live',
    doc: "True (sic) lets peers through whose certificate can't be verified; false refuses them.",
  }),
  msevent_tls: boolean({
    section: '2.2.12.12',
    default: false,
    services: ['mseventd', 'msstat', 'imapd', 'pop3d', 'lmtpd', 'ms_syncd'],
    reload: 'restart',
    doc: 'Connections to mseventd use TLS, or are not made.',
  }),
  msevent_tls_auth: boolean({
    section: '2.2.12.13',
    default: true,
    services: ['mseventd', 'msstat', 'imapd', 'pop3d', 'lmtpd', 'ms_syncd'],
    reload: 'live',
    doc: 'Clients of mseventd accept only one that shows their own certificate.',
  }),
}
