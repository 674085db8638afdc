/** UIDL [msg]. RFC 1939 §7 */
import type { Command } from '../command.ts'
import { scan } from '../scan.ts'

export const uidl: Command = {
  keyword: 'UIDL',
  states: ['transaction'],
  capabilities: () => ['UIDL'],
  run: (session, argument) =>
    scan(
      session,
      argument,
      (number) => session.maildrop.uniqueId(number),
      () => 'unique-id listing follows',
    ),
}
