/** CREATE, RFC 3501 §6.3.3; with what the mailbox is used for, RFC 6154 §3; answers its MAILBOXID, RFC 8474 §4.1 */
import { readCreateArgs } from '../../proto/imap/create.ts'
import { canonicalName } from '../../store/names.ts'
import { assignUses, usesOf } from '../../store/special-use.ts'
import { command, loggedIn } from '../command.ts'
import { tellNormalised } from '../names.ts'
import { mailboxObjectId } from '../object-id.ts'
import { Refusal } from '../replies.ts'
import type { Session } from '../session.ts'
import { assignableUses } from '../uses.ts'

export const create = command({
  name: 'CREATE',
  states: loggedIn,
  capabilities: () => ['CREATE-SPECIAL-USE', 'OBJECTID'],
  parse: readCreateArgs,
  async run(session, { mailbox, uses: given }) {
    const { account, hierarchy } = session
    const uses = assignableUses(given)
    if (uses.length > 0) await expectFree(session, mailbox, uses)
    const id = await hierarchy.create(mailbox)
    session.didItself({ change: 'created', mailbox: canonicalName(mailbox) })
    // Another session may have removed it by now.
    if (id === undefined) return undefined
    if (uses.length > 0)
      try {
        await assignUses(account, { id, name: canonicalName(mailbox) }, uses)
      } catch (error) {
        // RFC 6154 §3: without its use it is not made.
        await hierarchy.remove(mailbox)
        session.didItself({ change: 'removed', mailbox: canonicalName(mailbox) })
        throw error
      }
    tellNormalised(session, [], mailbox, mailbox)
    return { code: `MAILBOXID (${mailboxObjectId(id)})` }
  },
})

/** A use is one mailbox's: who has one already has its mail there. Throws Refusal. */
async function expectFree(session: Session, mailbox: string, uses: readonly string[]): Promise<void> {
  if (!session.hierarchy.isOwn(mailbox))
    throw new Refusal('NO', 'USEATTR', 'Only a mailbox of the own account can be used for something')
  for (const [name, others] of await usesOf(session.account)) {
    const use = others.find((other) => uses.includes(other))
    if (use !== undefined && (await session.account.findId(name)) !== undefined)
      throw new Refusal('NO', 'USEATTR', `Another mailbox is used for ${use} already`)
  }
}
