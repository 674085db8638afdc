/** PUTSCRIPT name content. RFC 5804 §2.6: kept only when it could be run. */
import { checkedScript } from '../checked-script.ts'
import type { Command } from '../command.ts'

export const putscript: Command = {
  word: 'PUTSCRIPT',
  states: ['user'],
  async run({ scripts, services }, args) {
    const name = args.text('a name')
    const content = args.string('a script')
    args.end()
    const { limits } = services.settings()
    await scripts.checkRoom(name, content.length, limits)
    const { text, completion } = checkedScript(content)
    await scripts.put(name, text, limits)
    return completion
  },
}
