/** LIST, RFC 3501 §6.3.8, with the attributes of CHILDREN, RFC 3348 */
import { formatListLine, readListArgs } from '../../proto/imap/list.ts'
import { ListPattern } from '../../proto/imap/list-pattern.ts'
import { command, loggedIn } from '../command.ts'
import { Slice } from '../slice.ts'

export const list = command({
  name: 'LIST',
  states: loggedIn,
  capabilities: () => ['CHILDREN'],
  parse: readListArgs,
  async run(session, args) {
    if (args === undefined) return undefined
    const { reference, pattern } = args
    const { output } = session
    if (pattern === '') {
      // Asks for the delimiter and the root of the reference: every name is below the one root.
      output.write(formatListLine('LIST', ['\\Noselect'], ''))
      return undefined
    }
    const wanted = new ListPattern(reference + pattern)
    const slice = new Slice()
    for (const { name, selectable, hasChildren } of await session.account.list()) {
      if (wanted.matches(name)) {
        const children = hasChildren ? '\\HasChildren' : '\\HasNoChildren'
        output.write(formatListLine('LIST', selectable ? [children] : ['\\Noselect', children], name))
        await output.flow()
      }
      if (slice.isOver()) await slice.next()
    }
    return undefined
  },
})
