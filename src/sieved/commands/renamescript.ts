/** RENAMESCRIPT old new. RFC 5804 §2.11 */
import type { Command } from '../command.ts'

export const renamescript: Command = {
  word: 'RENAMESCRIPT',
  states: ['user'],
  async run({ scripts }, args) {
    const from = args.text('the old name')
    const to = args.text('the new name')
    args.end()
    await scripts.rename(from, to)
    return {}
  },
}
