/** msadm acl: rights on personal mailboxes. ACL-01 to ACL-05 */
import { defaultDomain } from '../../../auth/user-id.ts'
import type { UserId } from '../../../base/ids.ts'
import { type Acl, anyone, groupPrefix, rightsOf } from '../../../sharing/acl.ts'
import { aclOf, canonicalIdentifier, changeAcl, deleteAcl } from '../../../sharing/personal-acl.ts'
import { allRights, formatRights, noRights, parseRights, type Rights } from '../../../sharing/rights.ts'
import { sharingOf } from '../../../sharing/sharing.ts'
import { negative } from '../../../store/acl-values.ts'
import { type Command, CommandError, type Context, canonical, UsageError } from '../command.ts'

const words = {
  list: ['owner', 'mailbox', '[userid]'],
  set: ['owner', 'mailbox', 'userid', 'rights'],
  delete: ['owner', 'mailbox', '[userid]'],
} as const
type Action = keyof typeof words

export const acl: Command = {
  name: 'acl',
  usage: 'acl list owner mailbox [userid] | acl set owner mailbox userid rights | acl delete owner mailbox [userid]',
  summary: "shows and changes what others may do with a user's mailbox",
  words: ['list', 'set', 'delete'],
  details: `A userid may also be anyone, or group:NAME for a group of ms.conf; with - before it the rights are taken away from whom it names.
set replaces the rights that the userid had. delete without userid takes all rights that were given. list with a userid of a user tells what that user may
do, by whatever entry.

Rights
  r  open and read      s  change \\Seen       w  change other flags    i  insert messages over IMAP
  t  change \\Deleted    e  expunge            k  make and rename mailboxes below it
  x  delete or rename it                      l  see it, which comes with any other
The owner has all, and nobody else can have a, which is to change the rights. Services that are running know of a change at once.
Exit status: 0 done; 1 no such user or mailbox, or rights that can't be given; 64 wrong arguments.

Examples
  msadm acl list joe@example.org INBOX        msadm acl set joe@example.org Plans ann@example.org lrs
  msadm acl delete joe@example.org Plans      msadm acl set joe@example.org Plans group:staff lrswi`,
  run: async (args, context) => {
    const [action, ...given] = args
    if (action === undefined || !isAction(action))
      throw new UsageError('list, set or delete is needed, for example acl list joe@example.org INBOX')
    if (words[action].slice(given.length).some((word) => !word.startsWith('[')))
      throw new UsageError(`words are missing: acl ${action} ${words[action].join(' ')}`)
    if (given.length > words[action].length)
      throw new UsageError(`${JSON.stringify(given[words[action].length])} is one word too many`)
    const [ownerGiven, mailbox, userGiven, rightsGiven] = given as [string, string, string?, string?]
    const owner = canonical(ownerGiven, context)
    const store = context.store()
    const account = store.account(owner)
    if (!(await account.exists())) throw new CommandError(`there is no mail of ${owner}`)
    const mailboxId = await account.findId(mailbox)
    if (mailboxId === undefined) throw new CommandError(`${owner} has no mailbox ${JSON.stringify(mailbox)}`)
    const identifier =
      userGiven === undefined ? undefined : canonicalIdentifier(userGiven, defaultDomain(context.config, undefined))
    if (action === 'delete') await deleteAcl(store, owner, mailbox, identifier)
    if (action === 'set' && identifier !== undefined) {
      const rights = parseRights(rightsGiven ?? '')
      if (rights.size === 0) throw new UsageError('the rights are empty; acl delete takes them away')
      await changeAcl(store, owner, mailbox, identifier, { mode: 'set', rights })
      await noteUnknown(identifier, context)
    }
    const list = await aclOf(account, mailboxId)
    const print = (who: string, rights: Rights) =>
      context.print(`${who} ${formatRights(rights) || 'none'}`, {
        owner,
        mailbox,
        identifier: who,
        rights: formatRights(rights),
      })
    if (action === 'list' && identifier === undefined) {
      print(owner, allRights)
      for (const [who, rights] of list) print(who, rights)
    } else if (action === 'list' && identifier !== undefined)
      print(identifier, rightsFor(identifier, list, owner, context))
    else if (action === 'set' && identifier !== undefined) print(identifier, list.get(identifier) ?? noRights)
  },
}

const isAction = (word: string): word is Action => Object.hasOwn(words, word)

const isUser = (identifier: string) =>
  identifier !== anyone && !identifier.startsWith(groupPrefix) && !identifier.startsWith(negative)

/** What a user may do in the end; what the list says of anyone, a group, or takes away. */
function rightsFor(identifier: string, list: Acl, owner: UserId, { config }: Context): Rights {
  if (!isUser(identifier)) return list.get(identifier) ?? noRights
  return rightsOf(list, owner, sharingOf(config).identityOf(identifier as UserId))
}

/** A mistyped name gets rights all the same: users of a gateway have no account here. */
async function noteUnknown(given: string, { accounts, config, store, note }: Context): Promise<void> {
  const identifier = given.startsWith(negative) ? given.slice(negative.length) : given
  if (identifier === anyone) return
  const known = identifier.startsWith(groupPrefix)
    ? config.all('group').some(({ name }) => groupPrefix + name === identifier)
    : (await accounts.find(identifier as UserId)) !== undefined ||
      (await store()
        .account(identifier as UserId)
        .exists())
  if (!known) note(`${identifier} is not known here, and has the rights when it comes`)
}
