/** What servers say when they refuse, as their users have reported it; where no server is named, the text is an example of the RFC. */
import { describe, expect, it } from 'vitest'
import { BackendError, type BackendErrorKind } from '#gateway/backend/errors.ts'
import { classifyRefusal, type Stage } from '#gateway/backend/reply-classifier.ts'

type Row = readonly [server: string, stage: Stage, text: string, kind: BackendErrorKind, retryAfterMs?: number]

const minute = 60_000

const logins: readonly Row[] = [
  ['Gmail', 'login', '[AUTH] Username and password not accepted.', 'auth'],
  ['Gmail', 'login', '[AUTHENTICATIONFAILED] Invalid credentials (Failure)', 'auth'],
  [
    'Gmail',
    'login',
    '[AUTH] Application-specific password required: http://support.google.com/accounts',
    'needs-consent',
  ],
  [
    'Gmail',
    'login',
    '[ALERT] Application-specific password required: https://support.google.com (Failure)',
    'needs-consent',
  ],
  [
    'Gmail',
    'login',
    '[ALERT] Please log in via your web browser: https://support.google.com (Failure)',
    'needs-consent',
  ],
  ['Gmail', 'login', '[WEBALERT https://accounts.google.com/signin/continue] Web login required.', 'needs-consent'],
  [
    'Gmail',
    'login',
    '[SYS/PERM] Your account is not enabled for POP access. Please visit your settings',
    'needs-consent',
  ],
  ['Gmail', 'login', '[ALERT] Your account is not enabled for IMAP use.', 'needs-consent'],
  ['Gmail', 'login', '[ALERT] Too many simultaneous connections. (Failure)', 'throttled'],
  ['Microsoft 365', 'login', 'LOGIN failed.', 'auth'],
  ['Microsoft 365', 'login', 'AUTHENTICATE failed.', 'auth'],
  ['Microsoft 365', 'login', 'Logon failure: unknown user name or bad password.', 'auth'],
  ['Microsoft 365', 'login', 'Basic authentication is disabled.', 'needs-consent'],
  [
    'Outlook.com',
    'login',
    'LOGIN failed. Account is blocked. Login to your account via a web browser to verify your identity.',
    'needs-consent',
  ],
  [
    'Outlook.com',
    'login',
    'Exceeded the login limit for a 15 minute period. Reduce the frequency of requests',
    'throttled',
    15 * minute,
  ],
  ['Yahoo', 'login', '[AUTHENTICATIONFAILED] LOGIN Invalid credentials', 'auth'],
  ['Yahoo', 'login', '[UNAVAILABLE] LOGIN Server error - Please try again later', 'temporary'],
  ['Yahoo', 'login', '[LIMIT] LOGIN Rate limit hit.', 'throttled'],
  ['Yandex', 'login', '[AUTHENTICATIONFAILED] LOGIN Invalid credentials or IMAP is disabled sc=x', 'auth'],
  ['iCloud', 'login', '[AUTHENTICATIONFAILED] Authentication failed', 'auth'],
  ['iCloud', 'login', '[UNAVAILABLE] Service temporarily unavailable', 'temporary'],
  ['web.de, GMX', 'login', 'authentication failed', 'auth'],
  ['web.de', 'login', 'Login delay: please wait 720 seconds', 'login-delay', 720_000],
  [
    'QQ',
    'login',
    'Login fail. Account is abnormal, service is not open, password is incorrect, login frequency limited, or system is busy.',
    'auth',
  ],
  ['Dovecot', 'login', '[AUTH] Authentication failed.', 'auth'],
  ['Dovecot', 'login', '[AUTHENTICATIONFAILED] Authentication failed.', 'auth'],
  ['Dovecot', 'login', '[SYS/TEMP] Temporary authentication failure. [mx:2026-01-01 00:00:00]', 'temporary'],
  ['Dovecot', 'login', '[UNAVAILABLE] Temporary authentication failure. [mx:2026-01-01 00:00:00]', 'temporary'],
  [
    'Dovecot',
    'login',
    '[UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=16)',
    'throttled',
  ],
  [
    'Dovecot',
    'login',
    '[IN-USE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)',
    'in-use',
  ],
  ['Dovecot', 'login', '[AUTHORIZATIONFAILED] Authorization failed.', 'auth'],
  [
    'Dovecot',
    'login',
    '[PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.',
    'tls',
  ],
  ['Cyrus', 'login', '[AUTH] Invalid login', 'auth'],
  ['Cyrus', 'login', 'Login failed: user not found', 'auth'],
  ['Cyrus', 'login', '[LOGIN-DELAY] Logins must be at least 10 minutes apart', 'login-delay', 10 * minute],
  ['Cyrus', 'login', '[IN-USE] Unable to lock maildrop: Mailbox is locked by POP server', 'in-use'],
  ['Cyrus', 'login', '[SYS/PERM] Unable to locate maildrop: Mailbox does not exist', 'permanent'],
  ['Courier', 'login', 'Login failed.', 'auth'],
  ['Courier', 'login', 'LOGIN FAILED', 'auth'],
  ['Courier', 'greeting', 'Maximum connection limit reached for 192.0.2.1', 'throttled'],
  ['qmail-pop3d', 'login', 'authorization failed', 'auth'],
  ['qmail-pop3d', 'login', 'aack, child crashed', 'temporary'],
  ['qpopper', 'login', '[IN-USE] anna lock busy!  Is another session active? (11)', 'in-use'],
  ['VPOP3', 'login', 'Mailbox Locked', 'in-use'],
  ['Zimbra', 'login', 'invalid username/password', 'auth'],
  ['Zimbra', 'login', 'LOGIN failed', 'auth'],
  ['Zimbra', 'login', 'account is in maintenance mode', 'temporary'],
  ['Zimbra', 'login', 'account is not active', 'auth'],
  ['UW', 'login', 'Bad login', 'auth'],
  ['hMailServer', 'login', 'Invalid user name or password. Please use full email address as user name.', 'auth'],
  ['hMailServer', 'login', 'Your mailbox is already locked', 'in-use'],
  ['Mailu', 'login', 'Temporary authentication failure (rate-limit)', 'throttled'],
  ['Mailu', 'login', 'Authentication rate limit from one source exceeded', 'throttled'],
  ['', 'login', 'account locked because of too many failed logins, wait 15 minutes', 'throttled', 15 * minute],
  ['', 'login', 'account has been locked', 'auth'],
  ['', 'login', 'mail store is starting up, retry after 30', 'temporary', 30_000],
  ['RFC 3206', 'login', '[SYS/PERM] mailbox disabled', 'permanent'],
  ['RFC 3206', 'login', '[SYS/TEMP/LDAP] directory is down', 'temporary'],
  ['RFC 5530', 'login', '[EXPIRED] That password is not valid any more', 'auth'],
  ['RFC 5530', 'login', '[CONTACTADMIN]', 'permanent'],
]

const commands: readonly Row[] = [
  [
    'Microsoft 365',
    'transaction',
    'Request is throttled. Suggested Backoff Time: 299961 milliseconds',
    'throttled',
    299_961,
  ],
  ['Microsoft 365', 'transaction', 'Server Unavailable. 15', 'temporary'],
  ['Gmail', 'transaction', '[OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)', 'throttled'],
  ['Gmail', 'transaction', '[SYS/TEMP] Account has exceeded the bandwidth limit', 'throttled'],
  ['Gmail', 'transaction', '[NONEXISTENT] Unknown Mailbox: x (Failure)', 'gone'],
  ['Yahoo', 'transaction', '[LIMIT] UID FETCH Rate limit hit', 'throttled'],
  ['Yahoo', 'transaction', '[TEMPFAIL] UID FETCH Temporary failure on server [CODE: WBL]', 'temporary'],
  ['Yahoo', 'transaction', '[UNAVAILABLE] UID FETCH Server error - Please try again later', 'temporary'],
  ['163', 'transaction', 'SELECT Unsafe Login. Please contact kefu@188.com for help', 'needs-consent'],
  ['Dovecot', 'transaction', '[OVERQUOTA] Quota exceeded (mailbox for user is full)', 'over-quota'],
  ['Dovecot', 'transaction', "There's no message 4000.", 'gone'],
  ['Dovecot', 'transaction', 'Message is deleted.', 'gone'],
  [
    'Dovecot',
    'transaction',
    '[SERVERBUG] Internal error occurred. Refer to server log for more information.',
    'temporary',
  ],
  ['Dovecot', 'transaction', "[NONEXISTENT] Mailbox doesn't exist: x", 'gone'],
  [
    'Dovecot',
    'transaction',
    '[SYS/TEMP] Internal error occurred. Refer to server log for more information.',
    'temporary',
  ],
  ['Cyrus', 'transaction', 'No such message', 'gone'],
  ['Cyrus', 'transaction', 'Mailbox does not exist', 'gone'],
  ['Courier', 'transaction', 'Invalid message number.', 'gone'],
  ['qmail-pop3d', 'transaction', 'already deleted', 'gone'],
  ['qmail-pop3d', 'transaction', 'unable to open that message', 'permanent'],
  ['qmail-pop3d', 'transaction', 'unimplemented', 'permanent'],
  ['', 'transaction', 'Command not found', 'unsupported'],
  ['', 'transaction', 'Disk quota exceeded', 'over-quota'],
  ['RFC 5530', 'transaction', '[INUSE] Mailbox in use', 'in-use'],
  ['RFC 5530', 'transaction', '[CORRUPTION] Cannot open mailbox', 'permanent'],
  ['RFC 5530', 'transaction', '[NOPERM] Access denied', 'permanent'],
  ['RFC 5530', 'transaction', '[LIMIT] At most 32 flags in one mailbox supported', 'permanent'],
  ['RFC 5530', 'transaction', '[ALREADYEXISTS] Mailbox "that" already exists', 'permanent'],
]

describe('what a refusal means (P9, I3, I4, I5, I23)', () => {
  const rows = [...logins, ...commands].map(([server, stage, text, kind, retryAfterMs]) => ({
    name: `${server === '' ? 'somebody' : server} (${stage}): ${text}`,
    stage,
    text,
    refusal: { kind, text, retryAfterMs },
  }))
  it.each(rows)('$name', ({ stage, text, refusal }) => {
    expect(classifyRefusal(text, stage)).toEqual(refusal)
  })

  it('a pause is never longer than a day, and never of a refusal that waiting does not end', () => {
    expect(classifyRefusal('[IN-USE] wait 999999 hours', 'login').retryAfterMs).toBe(86_400_000)
    expect(classifyRefusal('[AUTH] wrong, wait 5 minutes', 'login').retryAfterMs).toBeUndefined()
  })
})

describe('what follows from it (D12, B15)', () => {
  it('only a refusal of the login itself stops attempts, and nothing passing does', () => {
    const errors = [...logins, ...commands].map(([, , , kind]) => new BackendError(kind, ''))
    const stopping = new Set(errors.filter(({ refusesLogin }) => refusesLogin).map(({ kind }) => kind))
    expect(stopping).toEqual(new Set(['auth', 'needs-consent']))
    expect(errors.filter(({ refusesLogin, retryable }) => refusesLogin && retryable)).toEqual([])
  })
})
