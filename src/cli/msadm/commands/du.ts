import { octetsPerKb } from '../../../server/quota-limits.ts'
import type { Account, Usage } from '../../../store/types.ts'
import { type Command, CommandError, canonical, onlyUserId, readArguments } from '../command.ts'

export const du: Command = {
  name: 'du',
  usage: 'du [-r] userid',
  summary: 'shows how much mail a user has, in KB',
  details: `  -r           counts it anew from the logs of all mailboxes, instead of taking what was counted before, and tells apart what is
               not counted: messages and mailboxes that msadm undelete can bring back

Without -r only mailboxes that changed since they were counted are counted again, so the figure is the same; -r is slower. A message that is
in two mailboxes counts twice, although its copies may share one file.

Examples
  msadm du joe@example.org                    msadm --json du -r joe@example.org`,
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, { r: { type: 'boolean', short: 'r' } })
    const userId = canonical(onlyUserId(positionals), context)
    const account = context.store().account(userId)
    if (!(await account.exists())) throw new CommandError(`${userId} has no mail here`)
    const usage = await account.usage({ recount: values.r === true })
    const { storage, messages } = await context.quotas.limits(userId)
    const kept = values.r ? await keptOf(account) : undefined
    const limit =
      storage.value === 0 ? '' : ` of ${storage.value} KB (${Math.round((kb(usage) / storage.value) * 100)} %)`
    const most = messages.value === 0 ? '' : ` of ${messages.value}`
    const also =
      kept === undefined ? '' : `; not counted: ${kb(kept)} KB, ${kept.messages} messages that can be brought back`
    context.print(`${userId}: ${kb(usage)} KB${limit}, ${usage.messages} messages${most}${also}`, {
      userId,
      kb: kb(usage),
      ...usage,
      quotaKb: storage.value,
      quotaMessages: messages.value,
      ...(kept !== undefined && { kept: { kb: kb(kept), ...kept } }),
    })
  },
}

/** As IMAP tells it: a KB that is begun counts. */
const kb = ({ octets }: Usage): number => Math.ceil(octets / octetsPerKb)

/** What takes room and was deleted. */
async function keptOf(account: Account): Promise<Usage> {
  let [messages, octets] = [0, 0]
  for (const removed of await account.removed()) {
    messages += removed.messages
    octets += removed.sizeOctets
  }
  for (const { name, selectable } of await account.list()) {
    if (!selectable) continue
    await using mailbox = await account.open(name)
    for (const { message } of mailbox.expunged()) {
      // Deleted before its octets came from an old server.
      if (!message.isHere) continue
      messages += 1
      octets += message.sizeOctets
    }
  }
  return { messages, octets }
}
