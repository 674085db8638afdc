/** NOOP, RFC 3501 §6.1.2: what happened in the selected mailbox is told with every command, this one does nothing else. */
import { readNoArgs } from '../../proto/imap/no-args.ts'
import { anyState, command } from '../command.ts'

export const noop = command({
  name: 'NOOP',
  states: anyState,
  looks: 'if-possible',
  parse: readNoArgs,
  run: async () => undefined,
})
