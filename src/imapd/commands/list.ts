/** LIST, RFC 3501 §6.3.8, with the attributes of CHILDREN, RFC 3348, and of SPECIAL-USE, RFC 6154 */
import { formatListLine, readExtendedListArgs } from '../../proto/imap/list.ts'
import { ListPattern } from '../../proto/imap/list-pattern.ts'
import { otherUsersPrefix, sharedFoldersPrefix } from '../../sharing/trees.ts'
import { usesOf } from '../../store/special-use.ts'
import type { MailboxEntry } from '../../store/types.ts'
import { command, loggedIn } from '../command.ts'
import { Slice } from '../slice.ts'

export const list = command({
  name: 'LIST',
  states: loggedIn,
  capabilities: () => ['CHILDREN', 'SPECIAL-USE'],
  parse: readExtendedListArgs,
  async run(session, args) {
    if (args === undefined) return undefined
    const { reference, pattern, onlySpecialUse } = args
    const { output } = session
    if (pattern === '') {
      // Asks for the delimiter and the root of the reference: every name is below the one root.
      output.write(formatListLine('LIST', ['\\Noselect'], ''))
      return undefined
    }
    const wanted = new ListPattern(reference + pattern)
    const uses = await usesOf(session.account)
    const slice = new Slice()
    const { hierarchy } = session
    const own = await hierarchy.listOwn()
    const others = wanted.mayMatchBelow(otherUsersPrefix, sharedFoldersPrefix) ? await hierarchy.listOthers() : []
    for (const { name, selectable, hasChildren } of merged(own, others)) {
      const use = selectable ? uses.get(name) : undefined
      if (wanted.matches(name) && (use !== undefined || !onlySpecialUse)) {
        const attributes = [hasChildren ? '\\HasChildren' : '\\HasNoChildren']
        if (!selectable) attributes.unshift('\\Noselect')
        if (use !== undefined) attributes.push(use)
        output.write(formatListLine('LIST', attributes, name))
        await output.flow()
      }
      if (slice.isOver()) await slice.next()
    }
    return undefined
  },
})

/** A mailbox of the own account that has the name of another one, from before or from a backend, is behind it. */
function merged(own: readonly MailboxEntry[], others: readonly MailboxEntry[]): readonly MailboxEntry[] {
  if (others.length === 0) return own
  const names = new Set(others.filter(({ selectable }) => selectable).map(({ name }) => name))
  const before = own.filter(({ name }) => !names.has(name))
  const known = new Set(before.map(({ name }) => name))
  return [...before, ...others.filter(({ name }) => !known.has(name))]
}
