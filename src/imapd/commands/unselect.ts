/** UNSELECT, RFC 3691: CLOSE that removes nothing. */
import { readNoArgs } from '../../proto/imap/no-args.ts'
import { command, selected } from '../command.ts'

export const unselect = command({
  name: 'UNSELECT',
  states: selected,
  capabilities: () => ['UNSELECT'],
  parse: readNoArgs,
  async run(session) {
    await session.unselect()
    return undefined
  },
})
