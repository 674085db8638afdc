import { limitsOf, maxLimit, type QuotaLimit, type QuotaLimits, readLimit } from '../../../server/quota-limits.ts'
import { type Command, CommandError, type Context, canonical, readArguments, UsageError } from '../command.ts'

const text = ({ value, from }: QuotaLimit, unit: string, option: string) =>
  `${value === 0 ? 'no limit' : `${value} ${unit}`} (${from === 'user' ? 'own' : from === 'domain' ? 'domain_rule' : option})`

const printLimits = (userId: string, { storage, messages }: QuotaLimits, { print }: Context): void => {
  const count =
    messages.value === 0 && messages.from === 'server' ? '' : `, ${text(messages, 'messages', 'quota_messages')}`
  print(`${userId}: ${text(storage, 'KB', 'quota_limit')}${count}`, {
    userId,
    quotaKb: storage.value,
    own: storage.from === 'user',
    from: storage.from,
    messages: messages.value,
    ownMessages: messages.from === 'user',
    messagesFrom: messages.from,
  })
}

export const quota: Command = {
  name: 'quota',
  usage: 'quota get userid | quota set [-m] userid quota',
  summary: 'shows or changes how much mail a user may have, in KB',
  words: ['get', 'set'],
  details: `  -m           sets how many messages, and not how many KB

0 is no limit, and the word default takes the user's own limit away: what the domain_rule of the domain says counts then, else quota_limit (or quota_messages), as for users of a
gateway without an account. A service that is running knows a new limit after ten seconds at most, and a higher one at once. Mail that is there stays, whatever
the limit is.

Examples
  msadm quota get joe@example.org             msadm quota set joe@example.org 102400
  msadm quota set joe@example.org default     msadm quota set -m joe@example.org 50000`,
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, { m: { type: 'boolean', short: 'm' } })
    const [action, given, wanted, ...more] = positionals
    if (action !== 'get' && action !== 'set') throw new UsageError('get or set is needed, for example quota get joe')
    if (given === undefined) throw new UsageError('a userid is missing, for example joe@example.org')
    if (action === 'get' && values.m) throw new UsageError('-m belongs to set; get shows both limits')
    const needed = action === 'get' ? undefined : wanted
    const extra = action === 'get' ? wanted : more[0]
    if (extra !== undefined) throw new UsageError(`${JSON.stringify(extra)} is one word too many`)
    const userId = canonical(given, context)
    if (action === 'set') {
      const value = needed === 'default' ? undefined : readLimit(needed ?? '')
      if (value === undefined && needed !== 'default')
        throw new UsageError(
          `the quota is a whole number of ${values.m ? 'messages' : 'KB'} up to ${maxLimit}, or default`,
        )
      await context.quotas.set(userId, values.m ? { messages: value } : { storage: value })
    }
    const account = await context.accounts.find(userId)
    if (account === undefined && !(await context.store().account(userId).exists()))
      throw new CommandError(`there is no account ${userId}, and no mail of it`)
    printLimits(userId, limitsOf(context.config, userId, account), context)
  },
}
