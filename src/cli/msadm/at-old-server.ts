/** The user whom a command about the old server is for, and the password there. */
import type { UserId } from '../../base/ids.ts'
import { type Context, canonical, onlyUserId, passwordOf } from './command.ts'

export interface UserAtOldServer {
  /** As it was written. */
  readonly given: string
  readonly userId: UserId
  /** Undefined: ms_sync.xml has one, or the migration keeps it. */
  readonly password: Buffer | undefined
}

/** Throws UsageError, SyntaxFault. */
export const userAtOldServer = async (
  positionals: readonly string[],
  password: string | undefined,
  context: Context,
): Promise<UserAtOldServer> => {
  const given = onlyUserId(positionals)
  const userId = canonical(given, context)
  return { given, userId, password: password === undefined ? undefined : await passwordOf(password, context) }
}

/** For a request. */
export const secretOf = ({ password }: Pick<UserAtOldServer, 'password'>): { readonly password?: string } =>
  password === undefined ? {} : { password: password.toString('base64') }
