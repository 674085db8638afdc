/** GETQUOTA, GETQUOTAROOT and SETQUOTA, RFC 9208: a user's mailboxes are one quota root, `user/` and the user id. QUO-05, MST-04 */
import type { UserId } from '../../base/ids.ts'
import {
  formatQuota,
  formatQuotaRoots,
  type ResourceUse,
  readGetQuotaArgs,
  readGetQuotaRootArgs,
  readSetQuotaArgs,
} from '../../proto/imap/quota.ts'
import { maxLimit, octetsPerKb } from '../../server/quota-limits.ts'
import { command, loggedIn } from '../command.ts'
import { Refusal } from '../replies.ts'
import type { Session } from '../session.ts'

const prefix = 'user/'
/** As it is sent: octets in latin1. */
const rootOf = (userId: UserId) => Buffer.from(prefix + userId).toString('latin1')

export const getQuota = command({
  name: 'GETQUOTA',
  states: loggedIn,
  capabilities: () => ['QUOTA', 'QUOTASET', 'QUOTA=RES-STORAGE', 'QUOTA=RES-MESSAGE'],
  parse: readGetQuotaArgs,
  async run(session, root) {
    await tell(session, userOf(session, root))
    return undefined
  },
})

export const getQuotaRoot = command({
  name: 'GETQUOTAROOT',
  states: loggedIn,
  parse: readGetQuotaRootArgs,
  async run(session, mailbox) {
    const { rightsOn } = await session.hierarchy.permit(mailbox, 'r')
    // What another user has in all is nobody else's to know; a shared folder has no root. SHR-09
    const isOwn = rightsOn === undefined
    session.output.write(formatQuotaRoots(session.spelling, mailbox, isOwn ? [rootOf(session.userId)] : []))
    if (isOwn) await tell(session, session.userId)
    return undefined
  },
})

export const setQuota = command({
  name: 'SETQUOTA',
  states: loggedIn,
  parse: readSetQuotaArgs,
  async run(session, { root, limits }) {
    const userId = userOf(session, root)
    if (!session.administers(userId)) throw new Refusal('NO', 'NOPERM', 'Only an administrator sets quotas')
    for (const [name, limit] of limits) {
      if (name !== 'STORAGE' && name !== 'MESSAGE')
        throw new Refusal('NO', 'CANNOT', `${name.slice(0, 40)} can not be limited, only STORAGE and MESSAGE`)
      // What is 0 in the directory is no limit.
      if (limit === 0) throw new Refusal('NO', 'CANNOT', `${name} 0 can not be set; leave ${name} out for no limit`)
      if (limit > maxLimit) throw new Refusal('NO', 'CANNOT', `${name} is more than ${maxLimit}`)
    }
    // What is not named has no limit. RFC 9208 §4.1.3
    const own = { storage: limits.get('STORAGE') ?? 0, messages: limits.get('MESSAGE') ?? 0 }
    await session.services.quotas.set(userId, own)
    await tell(session, userId)
    return undefined
  },
})

/** Whose root it is. Throws Refusal, for a root that is not there as for one of somebody else. RFC 9208 §8 */
function userOf(session: Session, root: string): UserId {
  const own = root === rootOf(session.userId)
  const name = Buffer.from(root, 'latin1').toString().slice(prefix.length) as UserId
  if (own || (root === rootOf(name) && session.administers(name))) return name
  throw new Refusal('NO', 'NOPERM', 'There is no such quota root, or it is not yours')
}

async function tell(session: Session, userId: UserId): Promise<void> {
  const { quotas, store } = session.services
  const account = store.account(userId)
  const hasMail = await account.exists()
  const { storage, messages } = await quotas.limits(userId)
  const resources: ResourceUse[] = []
  if (storage.value > 0 || messages.value > 0) {
    const usage = hasMail ? await account.usage() : { octets: 0, messages: 0 }
    const usageKb = Math.ceil(usage.octets / octetsPerKb)
    if (storage.value > 0) resources.push({ name: 'STORAGE', usage: usageKb, limit: storage.value })
    if (messages.value > 0) resources.push({ name: 'MESSAGE', usage: usage.messages, limit: messages.value })
  }
  session.output.write(formatQuota(rootOf(userId), resources))
}
