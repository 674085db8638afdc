/** SETACTIVE name; an empty one stands for none. RFC 5804 §2.8 */
import type { Command } from '../command.ts'

export const setactive: Command = {
  word: 'SETACTIVE',
  states: ['user'],
  async run({ scripts }, args) {
    const name = args.text('a name')
    args.end()
    await scripts.activate(name === '' ? undefined : name)
    return {}
  },
}
