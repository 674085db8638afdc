import { systemClock } from '../../../base/clock.ts'
import { StoreError } from '../../../base/errors.ts'
import type { UserId } from '../../../base/ids.ts'
import { deliver as deliverTo } from '../../../delivery/deliver.ts'
import { findSharedAddress, type SharedAddress } from '../../../sharing/delivery-address.ts'
import { sharingOf } from '../../../sharing/sharing.ts'
import { sharedFoldersPrefix } from '../../../sharing/trees.ts'
import { type Command, CommandError, type Context, canonical, onlyUserId, readArguments } from '../command.ts'
import { isGivenBack } from '../migration-records.ts'

/** sysexits.h: what mail servers understand. */
const noUser = 67
const tryAgain = 75
const refused = 77

export const deliver: Command = {
  name: 'deliver',
  usage: 'deliver userid|address',
  summary: 'puts the message on standard input into the mail of a user, for the pipe transport of a mail server',
  details:
    '  The address of a shared root, archive@example.org, puts it there; archive+leads/john@example.org into the mailbox leads/john below it, if there is one.\n' +
    '  Exit status 67: no such user; 75: to be tried again later (also when the old server has the account again); 77: the user is over quota and over_quota_temp_error is false.\n' +
    '  A message that ms_syncd fetched and submitted (smtp_injection) gets its old place and is shown once.',
  run: async (args, context) => {
    const given = onlyUserId(readArguments(args, {}).positionals)
    const shared = findSharedAddress(sharingOf(context.config), given)
    if (shared !== undefined) return await inSharedFolder(shared, context)
    const userId = canonical(given, context)
    const account = context.store().account(userId)
    await answering(context, async () => {
      if (!(await account.exists())) throw new CommandError(`${userId} has no mail here`, noUser)
      await needHere(userId, context)
      const handed = await deliverTo(account, context.input, {
        clock: systemClock,
        adding: (octets, work) => context.quotas.adding(account, { octets, messages: 1 }, work),
      })
      const { mailbox } = handed
      if ('uid' in handed) context.print(`${mailbox}: ${handed.uid}`, { userId, mailbox, uid: handed.uid })
      else context.print(`${mailbox}: a message that is there`, { userId, mailbox, repeated: true })
    })
  },
}

/** docs/decisions/0276-the-way-back.md: nobody would see it here. Throws CommandError. */
async function needHere(userId: UserId, context: Context): Promise<void> {
  const { accounts, config } = context
  if (!config.get('auto_migrate') || (await accounts.find(userId))?.state !== 'migrating') return
  const isElsewhere = await isGivenBack(userId, context).catch((error: Error) => {
    throw new CommandError(`it is not known where the mail of ${userId} is: ${error.message}`, tryAgain)
  })
  if (isElsewhere)
    throw new CommandError(`the old server has the account of ${userId} again: deliver its mail there`, tryAgain)
}

/** LMTP-10. No quota counts it: SHR-09 */
async function inSharedFolder({ tree, mailbox }: SharedAddress, context: Context): Promise<void> {
  await answering(context, async () => {
    const name = sharedFoldersPrefix + tree.name
    const account = context.store().tree(name, tree.directory)
    await account.ensure()
    const adding = <T>(_: number, work: () => Promise<T>) => work()
    const handed = await deliverTo(account, context.input, { clock: systemClock, mailbox, adding })
    const full = handed.mailbox === 'INBOX' ? name : `${name}/${handed.mailbox}`
    if ('uid' in handed) context.print(`${full}: ${handed.uid}`, { mailbox: full, uid: handed.uid })
  })
}

async function answering({ config }: Context, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    // QUO-06, LMTP-04
    if (error instanceof StoreError && error.kind === 'over-quota' && !config.get('over_quota_temp_error'))
      throw new CommandError(error.message, refused)
    if (error instanceof StoreError || 'code' in (error as Error))
      throw new CommandError((error as Error).message, tryAgain)
    throw error
  }
}
