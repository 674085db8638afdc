/** NOTIFY, RFC 5465: what the client is told of all the time, of which mailboxes. docs/decisions/0335-notify.md */
import { badEventCode, readNotifyArgs } from '../../proto/imap/notify.ts'
import { command, loggedIn } from '../command.ts'
import { Refusal } from '../replies.ts'

export const notify = command({
  name: 'NOTIFY',
  states: loggedIn,
  looks: 'if-possible',
  capabilities: () => ['NOTIFY'],
  parse: readNotifyArgs,
  async run(session, args) {
    if (args.namesOthers) throw new Refusal('NO', badEventCode, 'Some of the events are not known here')
    await session.notify(args)
    return undefined
  },
})
