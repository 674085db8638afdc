/** DELE msg. RFC 1939 §5: marks; QUIT removes. */
import { decimal, words } from '../../proto/pop3/command.ts'
import type { Command } from '../command.ts'

export const dele: Command = {
  keyword: 'DELE',
  states: ['transaction'],
  async run({ maildrop }, argument) {
    const number = decimal(words(argument, 1, 1)[0]!)
    maildrop.delete(number)
    return `message ${number} deleted`
  },
}
