import { StoreError } from '../../../base/errors.ts'
import { forgetInAcls } from '../../../sharing/personal-acl.ts'
import { type Command, CommandError, canonical, onlyUserId, readArguments } from '../command.ts'

export const del: Command = {
  name: 'del',
  usage: 'del [-k] userid',
  summary: 'removes an account and its mail',
  details: `  -k           keeps the mail, and the rights that other users gave

The mail at a backend is not touched: in gateway mode it is fetched again at the user's next login.`,
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, { k: { type: 'boolean', short: 'k' } })
    const userId = canonical(onlyUserId(positionals), context)
    // A gateway's users have mail here without having an account. Asked first: while it is being moved, nothing is removed.
    const mail = context.store().account(userId)
    const hadMail = await mail.exists()
    // The account first: nobody logs in while the mail goes.
    const hadAccount = await context.accounts.remove(userId).then(
      () => true,
      (error: unknown) => {
        if (error instanceof StoreError && error.kind === 'not-found') return false
        throw error
      },
    )
    if (!hadAccount && (!hadMail || values.k)) throw new CommandError(`there is no account ${userId}`)
    if (!values.k) await forgetInAcls(context.store(), userId)
    if (hadMail && !values.k) await mail.destroy()
    const removed = [...(hadAccount ? ['account'] : []), ...(hadMail && !values.k ? ['mail'] : [])]
    context.print(`removed ${userId} (${removed.join(' and ')})`, { userId, removed })
    if (removed.includes('mail') && context.config.get('gateway_mode'))
      context.note('the mail at the backend is not touched: it is fetched again when the user logs in')
  },
}
