/** CLOSE, RFC 3501 §6.4.2: removes what is marked \Deleted, without a word, unless read-only. */
import { StoreError } from '../../base/errors.ts'
import { readNoArgs } from '../../proto/imap/no-args.ts'
import { command, selected } from '../command.ts'
import { MailboxGone } from '../view.ts'
import { deletedUids } from './expunge.ts'

export const close = command({
  name: 'CLOSE',
  states: selected,
  parse: readNoArgs,
  async run(session) {
    const { view } = session
    const { mailbox } = view
    try {
      if (!view.readOnly) {
        await view.look()
        // RFC 4314 §4
        if (view.lacks('e').length === 0) await mailbox.expunge(await deletedUids(mailbox), 'client')
      }
    } catch (error) {
      // Somebody deleted the mailbox: nothing is left to be removed.
      if (!(error instanceof MailboxGone || (error instanceof StoreError && error.kind === 'not-found'))) throw error
    }
    await session.unselect()
    return undefined
  },
})
