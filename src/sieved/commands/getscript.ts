/** GETSCRIPT name. RFC 5804 §2.9. Always a literal: Roundcube's Net_Sieve takes the quotes of a quoted string for text of the script. */
import { formatLiteral } from '../../proto/managesieve/response.ts'
import type { Command } from '../command.ts'

export const getscript: Command = {
  word: 'GETSCRIPT',
  states: ['user'],
  async run({ scripts, output }, args) {
    const name = args.text('a name')
    args.end()
    const text = await scripts.get(name)
    output.write(formatLiteral(Buffer.from(text)))
    output.write('\r\n')
    return {}
  },
}
