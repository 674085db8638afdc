/** RENAME, RFC 3501 §6.3.5 */
import { readRenameArgs } from '../../proto/imap/rename.ts'
import { command, loggedIn } from '../command.ts'
import { tellNormalised } from '../names.ts'

export const rename = command({
  name: 'RENAME',
  states: loggedIn,
  parse: readRenameArgs,
  async run(session, { from, to }) {
    await session.hierarchy.rename(from, to)
    tellNormalised(session, [], from, to)
    return undefined
  },
})
