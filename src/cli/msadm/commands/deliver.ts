import { systemClock } from '../../../base/clock.ts'
import { StoreError } from '../../../base/errors.ts'
import { deliver as deliverTo } from '../../../delivery/deliver.ts'
import { type Command, CommandError, canonical, onlyUserId, readArguments } from '../command.ts'

/** sysexits.h: what mail servers understand. */
const noUser = 67
const tryAgain = 75
const refused = 77

export const deliver: Command = {
  name: 'deliver',
  usage: 'deliver userid',
  summary: 'puts the message on standard input into the mail of a user, for the pipe transport of a mail server',
  details:
    '  Exit status 67: no such user; 75: to be tried again later; 77: the user is over quota and over_quota_temp_error is false.\n' +
    '  A message that ms_syncd fetched and submitted (smtp_injection) gets its old place and is shown once.',
  run: async (args, context) => {
    const userId = canonical(onlyUserId(readArguments(args, {}).positionals), context)
    const account = context.store().account(userId)
    try {
      if (!(await account.exists())) throw new CommandError(`${userId} has no mail here`, noUser)
      const handed = await deliverTo(account, context.input, {
        clock: systemClock,
        adding: (octets, work) => context.quotas.adding(account, { octets, messages: 1 }, work),
      })
      const { mailbox } = handed
      if ('uid' in handed) context.print(`${mailbox}: ${handed.uid}`, { userId, mailbox, uid: handed.uid })
      else context.print(`${mailbox}: a message that is there`, { userId, mailbox, repeated: true })
    } catch (error) {
      // QUO-06, LMTP-04
      if (error instanceof StoreError && error.kind === 'over-quota' && !context.config.get('over_quota_temp_error'))
        throw new CommandError(error.message, refused)
      if (error instanceof StoreError || 'code' in (error as Error))
        throw new CommandError((error as Error).message, tryAgain)
      throw error
    }
  },
}
