/** NOOP. RFC 1939 §5 */
import type { Command } from '../command.ts'

export const noop: Command = {
  keyword: 'NOOP',
  states: ['transaction'],
  async run() {
    return 'nothing done'
  },
}
