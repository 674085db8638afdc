/** HAVESPACE name octets. RFC 5804 §2.5 */
import type { Command } from '../command.ts'

export const havespace: Command = {
  word: 'HAVESPACE',
  states: ['user'],
  async run({ scripts, services }, args) {
    const name = args.text('a name')
    const octets = args.number('a size')
    args.end()
    await scripts.checkRoom(name, octets, services.settings().limits)
    return {}
  },
}
