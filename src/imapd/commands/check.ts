/** CHECK, RFC 3501 §6.4.1: every change is durable before its command is answered, so that nothing is left to do. */
import { readNoArgs } from '../../proto/imap/no-args.ts'
import { command, selected } from '../command.ts'

export const check = command({
  name: 'CHECK',
  states: selected,
  looks: 'if-possible',
  parse: readNoArgs,
  run: async () => undefined,
})
