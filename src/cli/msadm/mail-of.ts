/** Whose mail a command is about: a user's, or that of a shared root. */

import { sharingOf } from '../../sharing/sharing.ts'
import { sharedFoldersPrefix } from '../../sharing/trees.ts'
import type { Account } from '../../store/types.ts'
import { CommandError, type Context, canonical } from './command.ts'

/** `given`: a user id, or the name that users see of a shared root. Throws CommandError when there is none of its mail, SyntaxFault. */
export const mailOf = async (given: string, context: Context): Promise<Account> => {
  const isShared = given.startsWith(sharedFoldersPrefix)
  const tree = sharingOf(context.config).trees.find(({ name }) => given === sharedFoldersPrefix + name)
  if (isShared && tree === undefined)
    throw new CommandError(`there is no shared root ${JSON.stringify(given)} in ms.conf`)
  const account =
    tree === undefined
      ? context.store().account(canonical(given, context))
      : context.store().tree(given, tree.directory)
  if (!(await account.exists())) throw new CommandError(`there is no mail of ${account.userId}`)
  return account
}
