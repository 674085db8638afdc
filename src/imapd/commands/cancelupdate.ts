/** CANCELUPDATE, RFC 5267 §4.3.5: the client no longer wants to know of changes to these results. */
import { readCancelUpdateArgs } from '../../proto/imap/cancel-update.ts'
import { command, selected } from '../command.ts'

export const cancelupdate = command({
  name: 'CANCELUPDATE',
  states: selected,
  parse: readCancelUpdateArgs,
  async run({ view }, tags) {
    for (const tag of tags) view.contexts.cancel(tag)
    return undefined
  },
})
