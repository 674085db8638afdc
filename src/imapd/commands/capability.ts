/** CAPABILITY, RFC 3501 §6.1.1 */

import { readNoArgs } from '../../proto/imap/no-args.ts'
import { formatCapability } from '../../proto/imap/response.ts'
import { anyState, command } from '../command.ts'

export const capability = command({
  name: 'CAPABILITY',
  states: anyState,
  parse: readNoArgs,
  async run(session) {
    session.output.write(formatCapability(session.capabilities))
    return undefined
  },
})
