/**
 * The Sieve language as others see it: what goes into a run of scripts and what comes out. RFC 5228 and its extensions. Nothing here opens a socket or a file or
 * looks at a clock: whatever a script can ask beyond its message, it asks the environment.
 *
 * Texts are JavaScript strings. An octet that is part of no UTF-8 character (`${hex:ff}`) is the lone surrogate U+DC00 plus the octet; `octetsOf` in `text.ts` undoes it.
 */

import type { Part } from '../mime/types.ts'

/** Where in a script, both from 1; columns count characters. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** What is wrong with a script, or went wrong in it: a text for its author that says what to do. */
export interface ScriptProblem extends Position {
  readonly text: string
  /** Of an included script; undefined: the one that was run or compiled. */
  readonly script?: string
}

/** Compiled: may be run any number of times, also at the same time. */
export interface Script {
  readonly main: Block
  /** Capabilities that it requires. */
  readonly required: ReadonlySet<string>
}

export type Compiled =
  | { readonly script: Script; readonly warnings: readonly ScriptProblem[] }
  | { readonly errors: readonly ScriptProblem[]; readonly warnings: readonly ScriptProblem[] }

/** Of the message in transport. Addresses without angle brackets; '' is the null reverse-path. */
export interface Envelope {
  readonly from: string
  /** The recipient whose script this is, as RCPT TO named it. */
  readonly to: string
}

/** A message as it came. Its octets may lie in a file: only the header is in memory. */
export interface SieveMessage {
  /** Header fields and the empty line behind them, as they stand. */
  readonly header: Uint8Array
  /** Of the whole message. */
  readonly sizeOctets: number
  readonly envelope: Envelope
  /** The tree of parts. Asked once a run at most. */
  structure(): Promise<Part>
  /** Octets [start, end). */
  read(start: number, end: number): Promise<Buffer>
}

/** What the message is when an action is met, where the script has edited it (RFC 5293 §6, RFC 5703). */
export interface EditedMessage {
  /** With the empty line behind it. */
  readonly header: Buffer
  /** undefined: the octets behind `SieveMessage.header`. */
  readonly body: Buffer | undefined
}

interface Stored {
  /** undefined: as it came. */
  readonly message?: EditedMessage | undefined
  /** IMAP flags; undefined: the script has said nothing of flags. RFC 5232 */
  readonly flags?: readonly string[] | undefined
}

export interface KeepAction extends Stored {
  readonly type: 'keep'
  /** Nobody asked for it. RFC 5228 §2.10.2 */
  readonly implicit: boolean
}

export interface FileintoAction extends Stored {
  readonly type: 'fileinto'
  readonly mailbox: string
  readonly copy: boolean
  /** RFC 5490 §3.2 */
  readonly create?: boolean | undefined
  /** A use such as "\Junk": that mailbox, if there is one, before `mailbox`. RFC 8579 §4 */
  readonly specialUse?: string | undefined
}

export interface RedirectAction {
  readonly type: 'redirect'
  /** An addr-spec. */
  readonly address: string
  readonly copy: boolean
  readonly message?: EditedMessage | undefined
  /** A list of addresses that is redirected to (extlists). RFC 6134 §2.5 */
  readonly list?: string | undefined
  /** RFC 6009 §6 */
  readonly dsn?: { readonly notify?: string | undefined; readonly ret?: string | undefined } | undefined
}

/** Nothing is kept on purpose. RFC 5228 §4.4 */
export interface DiscardAction {
  readonly type: 'discard'
}

/** RFC 5429; `ereject` refuses at SMTP or LMTP level, never by a message. */
export interface RejectAction {
  readonly type: 'reject' | 'ereject'
  readonly reason: string
}

/** A copy of what was generated. RFC 8580 */
export interface Fcc {
  readonly mailbox: string
  readonly flags?: readonly string[] | undefined
  readonly create?: boolean | undefined
  readonly specialUse?: string | undefined
}

/** RFC 5230, RFC 6131 */
export interface VacationAction {
  readonly type: 'vacation'
  readonly reason: string
  /** undefined: the site's default. 0: every time. */
  readonly periodSeconds?: number | undefined
  readonly subject?: string | undefined
  readonly from?: string | undefined
  readonly addresses: readonly string[]
  /** `reason` is a MIME entity with its header. */
  readonly mime: boolean
  /** What tells one vacation of the script from another. §4.2 */
  readonly handle: string
  readonly fcc?: Fcc | undefined
}

/** RFC 5435 */
export interface NotifyAction {
  readonly type: 'notify'
  /** A URI. */
  readonly method: string
  readonly from?: string | undefined
  /** 1 (high) to 3 (low). */
  readonly importance: 1 | 2 | 3
  readonly options: readonly string[]
  readonly message?: string | undefined
  readonly fcc?: Fcc | undefined
}

/** The id of a `duplicate` test that is remembered once the run has come to a good end. RFC 7352 §3 */
export interface RememberAction {
  readonly type: 'remember-duplicate'
  readonly handle: string
  readonly id: string
  /** undefined: the site's default. */
  readonly periodSeconds?: number | undefined
}

/** What is to be done, in this order. */
export type Action =
  | KeepAction
  | FileintoAction
  | RedirectAction
  | DiscardAction
  | RejectAction
  | VacationAction
  | NotifyAction
  | RememberAction

/** What happened. `actions` is all that is to be done, the implicit keep included; it is empty only for a message that is thrown away. */
export interface Outcome {
  readonly actions: readonly Action[]
  /** The run ended here and nothing that the scripts asked for is done: `actions` is one keep. RFC 5228 §2.10.6 */
  readonly error?: ScriptProblem
  /** What the script asked for and did not get, the rest of it unharmed: redirects beyond the limit, say. */
  readonly warnings: readonly ScriptProblem[]
}

/** What a script can ask. Only `now` must be there: what is left out is not known, and says so in the way of the extension that asks. */
export interface Environment {
  /** Milliseconds since 1970. */
  readonly now: number
  /** East of Greenwich: where the user is, at that time. Default 0. */
  zoneOffsetMinutes?(atMs: number): number
  /** Items of the `environment` test by lower-case name, '' where an item is known to be nothing. RFC 5183 §4 */
  readonly items?: Readonly<Record<string, string>> | undefined
  /** Further redirects are left out with a warning. Default 5. */
  readonly maxRedirects?: number | undefined
  /** Actions beyond this end the run. Default 32. RFC 5228 §2.10.4 */
  readonly maxActions?: number | undefined
  /** Steps (a command, a test, a few dozen octets looked at) that all scripts together may take. */
  readonly maxSteps?: number | undefined
  /** What separates user and detail in local parts. Default "+". RFC 5233 §4 */
  readonly detailSeparator?: string | undefined
  /** Which field says how sure the site's filter is, and how. RFC 5235 */
  readonly spam?: Score | undefined
  readonly virus?: Score | undefined
  /** An included script's octets; undefined: there is none. RFC 6609 §3.2 */
  script?(location: 'personal' | 'global', name: string): Promise<Uint8Array | undefined>
  /** Whether the message can be filed into a mailbox of this name. RFC 5490 §3.1 */
  mailboxExists?(mailbox: string): Promise<boolean>
  /** Whether `mailbox`, or any mailbox, has all of the uses. RFC 8579 §3 */
  specialUseExists?(mailbox: string | undefined, uses: readonly string[]): Promise<boolean>
  /** An annotation of a mailbox, or of the server (undefined); undefined: it isn't there. RFC 5490 §3.3 and §4 */
  metadata?(mailbox: string | undefined, annotation: string): Promise<string | undefined>
  /** Whether the id was remembered within the period. RFC 7352 §3 */
  isDuplicate?(handle: string, id: string, last: boolean): Promise<boolean>
  /** RFC 5435 §4 */
  isNotifyMethod?(uri: string): Promise<boolean>
  /** A capability of a notification method; undefined: not known. RFC 5435 §5 */
  notifyCapability?(uri: string, capability: string): Promise<string | undefined>
  /** RFC 6134 §2.2 */
  listContains?(list: string, value: string): Promise<boolean>
  /** RFC 6134 §2.7 */
  isList?(list: string): Promise<boolean>
  /** Told of every step; slow. */
  trace?(position: Position, text: string): void
}

/** How a field of the message says what the site's spam or virus filter thinks. RFC 5235 §2 */
export interface Score {
  /** Of the header field. */
  readonly field: string
  /** A score is a number in the field's body: the first group of this (or all of it). Linear regular expressions of `src/sieve/regex` only. Default: the first number. */
  readonly pattern?: string | undefined
  /** Score that counts as 10 (spam) or 5 (virus), or 100 per cent. */
  readonly max: number
  /** Texts and the value of the test (0 to 10, 1 to 5) that each stands for, instead of a score. */
  readonly texts?: Readonly<Record<string, number>> | undefined
}

/** Compiled commands; see `language.ts`. */
export type Block = readonly Statement[]

export interface Statement {
  readonly position: Position
  readonly name: string
  /** Answers at once, or by a promise when the environment had to be asked. */
  run(run: Run): void | Promise<void>
}

/** One run of scripts, as extensions see it; see `language.ts`. */
export type Run = import('./language.ts').Run
