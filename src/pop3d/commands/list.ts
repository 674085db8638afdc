/** LIST [msg]. RFC 1939 §5: sizes are those of the messages, undotted. */
import type { Command } from '../command.ts'
import { scan } from '../scan.ts'

export const list: Command = {
  keyword: 'LIST',
  states: ['transaction'],
  run: (session, argument) =>
    scan(
      session,
      argument,
      (number) => `${session.maildrop.sizeOf(number)}`,
      ({ count, sizeOctets }) => `${count} messages (${sizeOctets} octets)`,
    ),
}
