import {
  type Command,
  CommandError,
  canonical,
  noteGateway,
  onlyUserId,
  passwordOf,
  readArguments,
  UsageError,
} from '../command.ts'

export const passwd: Command = {
  name: 'passwd',
  usage: 'passwd -p password userid',
  summary: 'sets a new password',
  details: '  -p password  the password; -p - reads it from standard input',
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, { p: { type: 'string', short: 'p' } })
    const userId = canonical(onlyUserId(positionals), context)
    if (values.p === undefined) throw new UsageError('-p password is needed; -p - reads it from standard input')
    const account = await context.accounts.find(userId)
    if (account === undefined) throw new CommandError(`there is no account ${userId}; msadm add makes one`)
    await context.accounts.put(account, await passwordOf(values.p, context))
    context.print(`changed the password of ${userId}`, { userId })
    if (account.state !== 'enabled') context.note(`${userId} is still ${account.state}; msadm add -f -p enables it`)
    noteGateway(context)
  },
}
