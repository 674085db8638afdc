/** RETR msg. RFC 1939 §5 */
import { decimal, words } from '../../proto/pop3/command.ts'
import type { Command } from '../command.ts'
import { sendMessage } from '../send-message.ts'

export const retr: Command = {
  keyword: 'RETR',
  states: ['transaction'],
  async run(session, argument) {
    const number = decimal(words(argument, 1, 1)[0]!)
    const record = session.maildrop.message(number)
    // An old server may have announced others than it sent.
    await sendMessage(session, record, (octets) => `${octets} octets`, undefined)
    return undefined
  },
}
