/** UIDL [msg]. RFC 1939 §7 */
import type { Command } from '../command.ts'
import { scan } from '../scan.ts'

export const uidl: Command = {
  keyword: 'UIDL',
  states: ['transaction'],
  capabilities: () => ['UIDL'],
  async run(session, argument) {
    const { maildrop } = session
    await maildrop.identify()
    return scan(
      session,
      argument,
      (number) => maildrop.uniqueId(number),
      () => 'unique-id listing follows',
    )
  },
}
