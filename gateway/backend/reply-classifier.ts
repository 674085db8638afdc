/**
 * What a backend's refusal means: by its response code where it sends one that tells (RFC 2449 §8, RFC 3206, RFC 5530), else by its words.
 * The words are those that servers are known to use; `test/gateway/backend/replies.test.ts` has the whole texts and whose they are.
 */
import type { BackendErrorKind } from './errors.ts'

/** Where in the session the refusal came: the same words mean different things. */
export type Stage = 'greeting' | 'login' | 'transaction'

export interface Refusal {
  readonly kind: BackendErrorKind
  /** The server's words, fit for a log: no control or non-ASCII octet, at most 200 characters. */
  readonly text: string
  readonly retryAfterMs: number | undefined
}

const codes: Readonly<Record<string, BackendErrorKind>> = {
  // POP3: RFC 2449 §8.1, RFC 3206 §4
  'IN-USE': 'in-use',
  'LOGIN-DELAY': 'login-delay',
  AUTH: 'auth',
  'SYS/TEMP': 'temporary',
  'SYS/PERM': 'permanent',
  // IMAP: RFC 5530 §3
  AUTHENTICATIONFAILED: 'auth',
  AUTHORIZATIONFAILED: 'auth',
  EXPIRED: 'auth',
  PRIVACYREQUIRED: 'tls',
  UNAVAILABLE: 'temporary',
  SERVERBUG: 'temporary',
  INUSE: 'in-use',
  EXPUNGEISSUED: 'gone',
  NONEXISTENT: 'gone',
  OVERQUOTA: 'over-quota',
  CONTACTADMIN: 'permanent',
  NOPERM: 'permanent',
  CORRUPTION: 'permanent',
  CLIENTBUG: 'permanent',
  CANNOT: 'permanent',
  LIMIT: 'permanent',
  ALREADYEXISTS: 'permanent',
  // Of single providers
  TEMPFAIL: 'temporary',
  THROTTLED: 'throttled',
  WEBALERT: 'needs-consent',
}

const busy: readonly BackendErrorKind[] = ['throttled', 'in-use', 'login-delay', 'needs-consent']
/** Codes that servers also send where a narrower one would be right: words for one of these kinds win. */
const narrower: Readonly<Record<string, readonly BackendErrorKind[]>> = {
  AUTH: ['needs-consent'],
  AUTHENTICATIONFAILED: ['needs-consent'],
  'SYS/TEMP': busy,
  'SYS/PERM': busy,
  UNAVAILABLE: busy,
  OVERQUOTA: busy,
  LIMIT: busy,
}

/** In order; the first that matches decides. Lower case; each is a plain part of the text. */
const words: readonly (readonly [kind: BackendErrorKind, stage: Stage | 'any', ...parts: string[]])[] = [
  ['needs-consent', 'login', 'web browser', 'web login', 'application-specific password', 'app password'],
  [
    'needs-consent',
    'login',
    'basic authentication is disabled',
    'not enabled for',
    'is not enabled',
    'not authorized to',
  ],
  ['needs-consent', 'any', 'unsafe login', 'authorization code', 'less secure'],
  // Some name every cause at once. Of those the password is the one that must not be tried again and again.
  [
    'auth',
    'login',
    'password is incorrect',
    'incorrect password',
    'invalid password',
    'bad password',
    'wrong password',
  ],
  ['unsupported', 'transaction', 'unknown command', 'unrecognized', 'unrecognised', 'invalid command', 'bad command'],
  ['unsupported', 'transaction', 'command not', 'no such command'],
  ['gone', 'transaction', 'no such message', "doesn't exist", 'does not exist', 'not found', 'no such mailbox'],
  [
    'gone',
    'transaction',
    'invalid message number',
    'already deleted',
    'message deleted',
    'is deleted',
    'has been deleted',
  ],
  ['gone', 'transaction', 'there is no message', "there's no message", 'unknown message', 'no longer exist'],
  ['throttled', 'any', 'throttl', 'rate limit', 'rate-limit', 'bandwidth', 'number of connections', 'login limit'],
  ['throttled', 'any', 'too many', 'too often', 'too frequent', 'too much', 'frequency', 'maximum connection'],
  ['over-quota', 'any', 'quota', 'mailbox is full', 'mailbox full', 'no space left', 'disk full', 'over the limit'],
  ['throttled', 'any', 'exceeded'],
  // Not a lock that another session holds: somebody closed the account.
  [
    'auth',
    'login',
    'account is locked',
    'account locked',
    'account has been locked',
    'locked out',
    'account is blocked',
  ],
  ['auth', 'login', 'account disabled', 'account is disabled', 'account has been disabled', 'suspended', 'not active'],
  ['in-use', 'any', 'in use', 'lock busy', 'locked', 'maildrop lock', 'mailbox lock', 'unable to lock', 'lock file'],
  ['in-use', 'any', 'duplicate login', 'already logged in', 'another session', 'already open', 'mailbox busy'],
  ['in-use', 'any', 'lock mailbox', 'lock maildrop', 'mailbox is busy', 'another pop', 'another process'],
  ['login-delay', 'any', 'login-delay', 'login delay', 'login too soon', 'logins too', 'login interval'],
  ['login-delay', 'any', 'minimum interval', 'login only every', 'wait a few minutes', 'minutes between'],
  ['temporary', 'any', 'temporar', 'try again', 'try later', 'retry', 'later', 'unavailable', 'timeout', 'timed out'],
  ['temporary', 'any', 'internal', 'server error', 'system error', 'shutting down', 'shutdown', 'maintenance', 'busy'],
  [
    'temporary',
    'any',
    'overload',
    'starting up',
    'not ready',
    'tempfail',
    'crashed',
    'system failure',
    'not available',
  ],
  ['unsupported', 'transaction', 'not implemented', 'unsupported', 'not supported'],
]

/** `[CODE]` at the start of a refusal, upper case, without what follows a blank; undefined without one. RFC 2449 §8, RFC 9051 §7.1 */
export const responseCode = (text: string): string | undefined => {
  if (text[0] !== '[') return undefined
  const end = text.indexOf(']')
  return end < 2 || end > 512 ? undefined : text.slice(1, end).split(' ', 1)[0]!.toUpperCase()
}

/** Octets in latin1 to printable ASCII, at most 200 characters; anything else is escaped as \xNN. */
export const printable = (text: string): string => {
  const escaped = text
    .slice(0, 200)
    .replace(/[^\x20-\x7e]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
  return escaped.length <= 200 && text.length <= 200 ? escaped : `${escaped.slice(0, 199)}…`
}

const unitsMs: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 }
const longestWaitMs = 86_400_000

/** "wait 30 seconds", "in 5 minutes", "Backoff Time: 299961 milliseconds": what the server asks for, at most a day. */
const waitHint = (text: string): number | undefined => {
  const match =
    /\b(\d{1,9}) ?(ms|msecs?|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?)\b/.exec(text) ??
    /\b(?:retry[- ]after|wait)[: ]+(\d{1,9})\b/.exec(text)
  if (match === null) return undefined
  const [, count, unit = 's'] = match
  const ms = Number(count) * (/^(?:ms|milli)/.test(unit) ? 1 : (unitsMs[unit[0]!] ?? 1_000))
  return ms === 0 ? undefined : Math.min(ms, longestWaitMs)
}

const waiting: ReadonlySet<BackendErrorKind> = new Set(['login-delay', 'throttled', 'in-use', 'temporary'])

const kindOfCode = (code: string | undefined): BackendErrorKind | undefined => {
  if (code === undefined) return undefined
  // SYS/TEMP and SYS/PERM may carry further levels: [SYS/TEMP/…]. RFC 2449 §8
  return codes[code] ?? codes[code.split('/', 2).join('/')]
}

/**
 * `text` is what follows `-ERR `, `NO ` or `BAD `, octets in latin1. `authCodes`: the server announces AUTH-RESP-CODE, so a login refused
 * for its credentials carries [AUTH] and one without it has another cause (RFC 3206 §6).
 */
export const classifyRefusal = (text: string, stage: Stage, authCodes = false): Refusal => {
  const lower = text.slice(0, 1_000).toLowerCase()
  const code = responseCode(text)
  const coded = kindOfCode(code)
  const worded = words.find(
    ([, at, ...parts]) => (at === 'any' || at === stage) && parts.some((part) => lower.includes(part)),
  )?.[0]
  const fallback = stage === 'transaction' ? 'permanent' : stage === 'login' && !authCodes ? 'auth' : 'temporary'
  const kind =
    worded !== undefined && (coded === undefined || narrower[code!]?.includes(worded) === true)
      ? worded
      : (coded ?? fallback)
  return { kind, text: printable(text), retryAfterMs: waiting.has(kind) ? waitHint(lower) : undefined }
}
