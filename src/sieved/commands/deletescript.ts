/** DELETESCRIPT name. RFC 5804 §2.10 */
import type { Command } from '../command.ts'

export const deletescript: Command = {
  word: 'DELETESCRIPT',
  states: ['user'],
  async run({ scripts }, args) {
    const name = args.text('a name')
    args.end()
    await scripts.remove(name)
    return {}
  },
}
