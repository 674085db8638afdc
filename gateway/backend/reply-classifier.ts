/**
 * What a backend's refusal means: by its response code where it sends one (RFC 2449 §8, RFC 3206), else by its words.
 * The words of the table are those that servers without codes are known to use.
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
  'IN-USE': 'in-use',
  'LOGIN-DELAY': 'login-delay',
  AUTH: 'auth',
  'SYS/TEMP': 'temporary',
  'SYS/PERM': 'permanent',
}

/** In order; the first that matches decides. Lower case; each is a plain part of the text. */
const words: readonly (readonly [kind: BackendErrorKind, stage: Stage | 'any', ...parts: string[]])[] = [
  ['no-such-message', 'transaction', 'no such message', "doesn't exist", 'does not exist', 'message not found'],
  [
    'no-such-message',
    'transaction',
    'invalid message number',
    'already deleted',
    'message deleted',
    'there is no message',
    "there's no message",
  ],
  ['in-use', 'any', 'in use', 'lock busy', 'locked', 'maildrop lock', 'mailbox lock', 'unable to lock', 'lock file'],
  ['in-use', 'any', 'duplicate login', 'already logged in', 'another session', 'already open'],
  ['login-delay', 'any', 'login-delay', 'login delay', 'login too soon', 'logins too frequent', 'login interval'],
  ['login-delay', 'any', 'minimum interval', 'login only every', 'wait a few minutes', 'minutes between'],
  ['throttled', 'any', 'too many', 'too often', 'too frequent', 'rate limit', 'throttl', 'exceeded', 'bandwidth'],
  ['temporary', 'any', 'temporar', 'try again', 'try later', 'retry', 'later', 'unavailable', 'timeout', 'timed out'],
  [
    'temporary',
    'any',
    'internal',
    'server error',
    'system error',
    'shutting down',
    'shutdown',
    'maintenance',
    'overload',
  ],
  ['unsupported', 'transaction', 'unknown command', 'unrecognized', 'unrecognised', 'not implemented', 'unsupported'],
  ['unsupported', 'transaction', 'invalid command', 'bad command', 'command not', 'not supported', 'no such command'],
]

/** `[CODE]` at the start of a refusal, upper case; undefined without one. RFC 2449 §8 */
export const responseCode = (text: string): string | undefined => {
  if (text[0] !== '[') return undefined
  const end = text.indexOf(']')
  return end < 2 || end > 64 ? undefined : text.slice(1, end).toUpperCase()
}

/** Octets in latin1 to printable ASCII, at most 200 characters; anything else is escaped as \xNN. */
export const printable = (text: string): string => {
  const escaped = text
    .slice(0, 200)
    .replace(/[^\x20-\x7e]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
  return escaped.length <= 200 && text.length <= 200 ? escaped : `${escaped.slice(0, 199)}…`
}

/** "wait 30 seconds", "in 5 minutes": what the server asks for, at most a day. */
const waitHint = (text: string): number | undefined => {
  const match = /\b(\d{1,5}) ?(s|sec|secs|second|seconds|m|min|mins|minute|minutes|h|hour|hours)\b/.exec(text)
  if (match === null) return undefined
  const unit = match[2]![0]
  const ms = Number(match[1]) * (unit === 's' ? 1_000 : unit === 'm' ? 60_000 : 3_600_000)
  return ms === 0 ? undefined : Math.min(ms, 86_400_000)
}

/**
 * `text` is what follows `-ERR `, octets in latin1. `authCodes`: the server announces AUTH-RESP-CODE, so a login refused
 * for its credentials carries [AUTH] and one without it has another cause (RFC 3206 §6).
 */
export const classifyRefusal = (text: string, stage: Stage, authCodes = false): Refusal => {
  const lower = text.slice(0, 1_000).toLowerCase()
  const code = responseCode(text)
  let kind = code === undefined ? undefined : codes[code]
  // SYS/TEMP and SYS/PERM may carry further levels: [SYS/TEMP/…]. RFC 2449 §8
  if (kind === undefined && code?.startsWith('SYS/TEMP')) kind = 'temporary'
  if (kind === undefined && code?.startsWith('SYS/PERM')) kind = 'permanent'
  kind ??= words.find(
    ([, at, ...parts]) => (at === 'any' || at === stage) && parts.some((part) => lower.includes(part)),
  )?.[0]
  kind ??=
    stage === 'greeting'
      ? 'temporary'
      : stage === 'login' && !authCodes
        ? 'auth'
        : stage === 'login'
          ? 'temporary'
          : 'permanent'
  const waits = kind === 'login-delay' || kind === 'throttled' || kind === 'in-use' || kind === 'temporary'
  return { kind, text: printable(text), retryAfterMs: waits ? waitHint(lower) : undefined }
}
