/** LISTSCRIPTS. RFC 5804 §2.7 */
import { formatString } from '../../proto/managesieve/response.ts'
import type { Command } from '../command.ts'

export const listscripts: Command = {
  word: 'LISTSCRIPTS',
  states: ['user'],
  async run({ scripts, output }, args) {
    args.end()
    for (const { name, isActive } of await scripts.list()) {
      output.write(formatString(name))
      output.write(isActive ? ' ACTIVE\r\n' : '\r\n')
      await output.flow()
    }
    return {}
  },
}
