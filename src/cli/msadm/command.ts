/** A subcommand of msadm, and what it is given to work with. */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import type { Accounts } from '../../auth/accounts.ts'
import { canonicalUserId, defaultDomain } from '../../auth/user-id.ts'
import type { UserId } from '../../base/ids.ts'
import type { Config } from '../../config/config.ts'
import type { Quotas } from '../../server/quotas.ts'
import type { Store } from '../../store/types.ts'
import type { Screen } from './screen.ts'

export interface Context {
  readonly config: Config
  readonly accounts: Accounts
  readonly quotas: Quotas
  /** The mail store, opened at the first use. */
  store(): Store
  /** Another one, which whoever asks for it closes. */
  openStore(): Store
  /** A line of result: `text` for people, `values` with --json. */
  print(text: string, values: Readonly<Record<string, unknown>>): void
  /** A piece of what is a document of its own, as it is; resolves when more may be written. */
  write(text: string): Promise<void>
  /** Whether results are JSON. */
  readonly json: boolean
  /** For people only. */
  note(text: string): void
  /** Shows a line in the place of the last one, '' to take it away. Undefined when nobody looks, unless `wanted` asks for it line by line. */
  showProgress(wanted: boolean): ((text: string) => void) | undefined
  /** Draws lines in one place, again and again; undefined when nobody looks. */
  showScreen(): Screen | undefined
  /** Standard input, for a command that takes all of it. */
  readonly input: AsyncIterable<Buffer>
  /** The next line of standard input, without its end; for `-p -`. */
  readPassword(): Promise<Buffer>
  /** The same, for what may be seen. */
  readLine(): Promise<string>
}

export interface Command {
  readonly name: string
  /** Arguments, as help shows them. */
  readonly usage: string
  readonly summary: string
  /** Words of its own that may stand behind it, for completion. */
  readonly words?: readonly string[]
  /** Lines about the switches. */
  readonly details: string
  /** Throws UsageError, or an error of the libraries whose message says what went wrong. */
  run(args: readonly string[], context: Context): Promise<void>
}

/** The words of a command can't be used; the message says what would be right. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Something asked for can't be done; the message is for the operator. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  /** Of msadm, when it runs only this command. */
  readonly status: number
  constructor(message: string, status = 1) {
    super(message)
    this.status = status
  }
}

/** Switches and words of a command. Throws UsageError. */
export const readArguments = <O extends ParseArgsOptionsConfig>(args: readonly string[], options: O) => {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: true })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

/** The one word of a command that takes a user id. */
export const onlyUserId = (positionals: readonly string[]): string => {
  const [userId, ...more] = positionals
  if (userId === undefined) throw new UsageError('a userid is missing, for example joe@example.org')
  if (more.length > 0) throw new UsageError(`${JSON.stringify(more[0])} is one word too many`)
  return userId
}

/** As for logins: without a domain, the default one is added. Throws SyntaxFault. */
export const canonical = (given: string, { config }: Context): UserId =>
  canonicalUserId(given, defaultDomain(config, undefined))

/**
 * For an account that is made: a name that is a path, or only signs, was not meant as one. Throws UsageError. Logins take
 * such names (a backend may have them).
 */
export const checkNewUserId = (userId: UserId): void => {
  const local = userId.slice(0, userId.lastIndexOf('@'))
  if (local.includes('/') || !/[\p{L}\p{N}]/u.test(local))
    throw new UsageError(`${JSON.stringify(local)} can't be a name; take letters, digits, and . _ - + between them`)
}

/** The password that `-p` gave: its words, or for `-` a line of standard input. Throws UsageError for one that nobody could log in with. */
export const passwordOf = async (given: string, context: Context): Promise<Buffer> => {
  return usable(given === '-' ? await context.readPassword() : Buffer.from(given))
}

/** Throws UsageError for a password that nobody could log in with. */
export const usable = (octets: Buffer): Buffer => {
  if (octets.length === 0) throw new UsageError('the password is empty')
  if (octets.length > 1024) throw new UsageError('the password has more than 1024 octets')
  if (octets.some((octet) => octet === 0 || octet === 10 || octet === 13))
    throw new UsageError('the password has a NUL or a line end, which no client could send')
  return octets
}

/** Tells an operator who sets a password in gateway mode that logins don't use it. */
export const noteGateway = ({ config, note }: Context) => {
  if (config.get('gateway_mode') && !config.get('sync_mode'))
    note('gateway_mode is on: logins are decided by the backend, and not by this account')
}
