/** LSUB, RFC 3501 §6.3.9 */
import { formatListLine, readListArgs } from '../../proto/imap/list.ts'
import { hierarchyDelimiter, ListPattern } from '../../proto/imap/list-pattern.ts'
import { command, loggedIn } from '../command.ts'
import { Slice } from '../slice.ts'

export const lsub = command({
  name: 'LSUB',
  states: loggedIn,
  parse: readListArgs,
  async run(session, args) {
    if (args === undefined) return undefined
    const { reference, pattern } = args
    const { output } = session
    if (pattern === '') {
      output.write(formatListLine(session.spelling, 'LSUB', ['\\Noselect'], ''))
      return undefined
    }
    const wanted = new ListPattern(reference + pattern)
    const names = await session.account.subscriptions()
    const told = new Set<string>()
    const tell = async (attributes: readonly string[], name: string) => {
      if (told.has(name)) return
      told.add(name)
      output.write(formatListLine(session.spelling, 'LSUB', attributes, name))
      await output.flow()
    }
    const slice = new Slice()
    for (const name of names) {
      if (wanted.matches(name)) await tell([], name)
      if (slice.isOver()) await slice.next()
    }
    if (!pattern.includes('%')) return undefined
    // "foo/bar" is subscribed, % asks: then foo is told, as a place that can't be selected
    for (const name of names) {
      for (let end = name.indexOf(hierarchyDelimiter); end > 0; end = name.indexOf(hierarchyDelimiter, end + 1)) {
        const parent = name.slice(0, end)
        if (!told.has(parent) && wanted.matches(parent)) await tell(['\\Noselect'], parent)
      }
      if (slice.isOver()) await slice.next()
    }
    return undefined
  },
})
