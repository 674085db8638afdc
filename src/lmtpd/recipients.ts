/**
 * Who an address is: a shared folder, a user's mail, or a mailbox of his behind a `+`. docs/decisions/0361-who-an-address-is.md
 * LMTP-07, LMTP-09, LMTP-10
 */
import type { AccountRecord, Accounts } from '../auth/accounts.ts'
import { defaultDomain, findUserId } from '../auth/user-id.ts'
import { StoreError } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { Config } from '../config/config.ts'
import type { Recipient } from '../delivery/types.ts'
import type { Quotas } from '../server/quotas.ts'
import { rightsIn } from '../sharing/acl.ts'
import { findSharedAddress, type SharedAddress } from '../sharing/delivery-address.ts'
import { aclOf } from '../sharing/personal-acl.ts'
import { type Sharing, sharingOf } from '../sharing/sharing.ts'
import { sharedFoldersPrefix } from '../sharing/trees.ts'
import type { Account, Store } from '../store/types.ts'
import { Refusal } from './replies.ts'

/** What a RCPT asks for. */
export interface Asked {
  /** As it was given. */
  readonly address: string
  /** Without quotes. */
  readonly local: string
  readonly domain: string
  readonly parameters: ReadonlyMap<string, string>
  /** What MAIL said of the message's size; undefined: nothing. */
  readonly sizeOctets: number | undefined
  /** Who logged in and hands the message over. */
  readonly user: UserId | undefined
}

export interface Recipients {
  /** Of addresses without one, for clients that connect to this address. CAN-02 */
  defaultDomain(localAddress: string): string
  /** Throws Refusal, and StoreError also when the user is over quota. */
  resolve(asked: Asked): Promise<Recipient>
  reload(config: Config): void
}

export interface RecipientParts {
  readonly config: Config
  readonly accounts: Pick<Accounts, 'find' | 'findByAddress'>
  readonly store: Pick<Store, 'account' | 'tree'>
  readonly quotas: Pick<Quotas, 'check' | 'adding'>
  /** Whether the old server has the account of this user again. Throws RemoteError. docs/decisions/0276-the-way-back.md */
  readonly isGivenBack: (userId: UserId) => Promise<boolean>
}

interface Found {
  readonly userId: UserId
  /** Undefined for a user of the gateway, who has mail here and no account. */
  readonly record: AccountRecord | undefined
}

/** What an account has that is not made yet. */
const nothing = { messages: 0, octets: 0 }

/** RFC 5233 §3 */
const separator = '+'

export const createRecipients = ({ config, accounts, store, quotas, isGivenBack }: RecipientParts): Recipients => {
  let inForce = config
  let sharing = sharingOf(config)

  const find = async (local: string, domain: string): Promise<Found | undefined> => {
    const userId = findUserId(`${local}@${domain}`, domain)
    if (userId === undefined) return undefined
    const record = (await accounts.find(userId)) ?? (await accounts.findByAddress(userId))
    if (record !== undefined) return { userId: record.userId, record }
    return (await store.account(userId).exists()) ? { userId, record: undefined } : undefined
  }

  /** With what stands behind the separator. An address that is somebody's as a whole has none. */
  const findWithDetail = async ({ local, domain }: Asked) => {
    const whole = await find(local, domain)
    if (whole !== undefined) return { ...whole, detail: undefined }
    const at = local.indexOf(separator)
    const user = at > 0 ? await find(local.slice(0, at), domain) : undefined
    return user === undefined ? undefined : { ...user, detail: local.slice(at + 1) }
  }

  /** Throws Refusal for whom nothing is delivered here. */
  const mustTakeMail = async ({ userId, record }: Found, account: Account): Promise<void> => {
    if (record?.state === 'disabled') throw new Refusal(550, '5.2.1', 'the account is disabled')
    if (record?.state === 'migrating' && inForce.get('auto_migrate')) {
      const isElsewhere = await isGivenBack(userId).catch((error: Error) => {
        throw new StoreError('unavailable', `it is not known where the mail of ${userId} is: ${error.message}`)
      })
      if (isElsewhere) throw new Refusal(451, '4.2.1', 'the old server has the account again: deliver its mail there')
    }
    if (!inForce.get('lmtp_autocreate') && !(await account.exists()))
      throw new Refusal(550, '5.1.1', 'the user has no inbox yet')
  }

  const ofUser = async (asked: Asked, found: Found & { readonly detail: string | undefined }): Promise<Recipient> => {
    const { userId, detail } = found
    const account = store.account(userId)
    await mustTakeMail(found, account)
    const counted = (await account.exists()) ? account : { userId, usage: async () => nothing }
    await quotas.check(counted, { octets: asked.sizeOctets ?? 0, messages: 1 })
    return {
      address: asked.address,
      parameters: asked.parameters,
      detail,
      userId,
      account,
      mailbox: (await mailboxFor(account, detail, asked.user, sharing)) ?? 'INBOX',
      adding: (octets, work) => quotas.adding(account, { octets, messages: 1 }, work),
    }
  }

  /** No quota counts it: SHR-09 */
  const ofFolder = async ({ address, parameters }: Asked, shared: SharedAddress): Promise<Recipient> => {
    const { tree, mailbox } = shared
    const account = store.tree(sharedFoldersPrefix + tree.name, tree.directory)
    await account.ensure()
    return {
      address,
      parameters,
      detail: undefined,
      userId: undefined,
      account,
      mailbox,
      adding: (_, work) => work(),
    }
  }

  return {
    defaultDomain: (localAddress) => defaultDomain(inForce, localAddress),
    resolve: async (asked) => {
      const shared = findSharedAddress(sharing, `${asked.local}@${asked.domain}`)
      if (shared !== undefined) return await ofFolder(asked, shared)
      const found = await findWithDetail(asked)
      if (found === undefined) throw new Refusal(550, '5.1.1', `<${asked.address}> is nobody here`)
      return await ofUser(asked, found)
    },
    reload: (next) => {
      inForce = next
      sharing = sharingOf(next)
    },
  }
}

/** The mailbox that the detail names, where there is one that whoever hands the message over may post to (RFC 4314 §4, `p`). */
async function mailboxFor(
  account: Account,
  detail: string | undefined,
  user: UserId | undefined,
  sharing: Sharing,
): Promise<string | undefined> {
  if (detail === undefined || detail === '') return undefined
  const id = await account.findId(detail).catch((error: unknown) => {
    // A name that no mailbox can have.
    if (error instanceof StoreError && ['not-found', 'invalid', 'limit'].includes(error.kind)) return undefined
    throw error
  })
  if (id === undefined) return undefined
  const who = user === undefined ? { userId: '', groups: new Set<string>() } : sharing.identityOf(user)
  return user === account.userId || rightsIn(await aclOf(account, id), who).has('p') ? detail : undefined
}
