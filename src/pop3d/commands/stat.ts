/** STAT. RFC 1939 §5 */
import { noArgument } from '../../proto/pop3/command.ts'
import type { Command } from '../command.ts'

export const stat: Command = {
  keyword: 'STAT',
  states: ['transaction'],
  async run({ maildrop }, argument) {
    noArgument(argument)
    return `${maildrop.count} ${maildrop.sizeOctets}`
  },
}
