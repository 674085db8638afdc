/** NOOP. RFC 5321 §4.1.1.9 */
import type { Command } from '../command.ts'

export const noop: Command = {
  keyword: 'NOOP',
  run: async () => ({ code: 250, status: '2.0.0', text: 'nothing done' }),
}
