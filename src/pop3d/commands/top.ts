/** TOP msg n. RFC 1939 §7 */
import { decimal, words } from '../../proto/pop3/command.ts'
import { TopCutter } from '../../proto/pop3/top.ts'
import type { Command } from '../command.ts'
import { sendMessage } from '../send-message.ts'

export const top: Command = {
  keyword: 'TOP',
  states: ['transaction'],
  capabilities: () => ['TOP'],
  async run(session, argument) {
    const [number, lines] = words(argument, 2, 2).map(decimal)
    const record = session.maildrop.message(number!)
    await sendMessage(session, record, () => 'top of message follows', new TopCutter(lines!))
    return undefined
  },
}
