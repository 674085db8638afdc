/** CHECKSCRIPT content. RFC 5804 §2.12: no quota is asked for. */

import { checkedScript } from '../checked-script.ts'
import type { Command } from '../command.ts'

export const checkscript: Command = {
  word: 'CHECKSCRIPT',
  states: ['user'],
  async run(_session, args) {
    const content = args.string('a script')
    args.end()
    return checkedScript(content).completion
  },
}
