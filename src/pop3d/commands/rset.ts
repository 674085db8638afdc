/** RSET. RFC 1939 §5 */
import { noArgument } from '../../proto/pop3/command.ts'
import type { Command } from '../command.ts'

export const rset: Command = {
  keyword: 'RSET',
  states: ['transaction'],
  async run({ maildrop }, argument) {
    noArgument(argument)
    maildrop.reset()
    return `maildrop has ${maildrop.count} messages (${maildrop.sizeOctets} octets)`
  },
}
