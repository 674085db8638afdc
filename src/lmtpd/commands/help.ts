/** HELP. RFC 5321 §4.1.1.8 */
import type { Command } from '../command.ts'
import { commands } from './index.ts'

export const help: Command = {
  keyword: 'HELP',
  run: async () => {
    const words = [...commands.keys()].filter((word) => !['HELO', 'EHLO', 'EXPN'].includes(word))
    return { code: 214, status: '2.0.0', text: `LMTP, RFC 2033: ${words.join(' ')}` }
  },
}
