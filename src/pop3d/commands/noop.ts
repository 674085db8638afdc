/** NOOP. RFC 1939 §5 */
import { noArgument } from '../../proto/pop3/command.ts'
import type { Command } from '../command.ts'

export const noop: Command = {
  keyword: 'NOOP',
  states: ['transaction'],
  async run(_session, argument) {
    noArgument(argument)
    return 'nothing done'
  },
}
