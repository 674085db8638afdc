/** CLOSE, RFC 3501 §6.4.2: removes what is marked \Deleted, without a word, unless read-only. */
import { readNoArgs } from '../../proto/imap/no-args.ts'
import { command, selected } from '../command.ts'
import { deletedUids } from './expunge.ts'

export const close = command({
  name: 'CLOSE',
  states: selected,
  parse: readNoArgs,
  async run(session) {
    const { mailbox, readOnly } = session.view
    if (!readOnly) await mailbox.expunge(deletedUids(mailbox), 'client')
    await session.unselect()
    return undefined
  },
})
