/** What a user's scripts can ask at delivery. */
import type { UserId } from '../../base/ids.ts'
import type { Environment } from '../../sieve/types.ts'
import type { Account } from '../../store/types.ts'
import type { Recipient, Transaction } from '../types.ts'
import type { Mailboxes } from './mailboxes.ts'
import type { Turn } from './remembered.ts'
import { includedScript } from './scripts.ts'

export interface Surroundings {
  readonly transaction: Transaction
  readonly recipient: Recipient
  readonly mailboxes: Mailboxes | undefined
  readonly turn: Turn
  readonly nowMs: number
  readonly maxRedirects: number
  readonly globalScript: string | undefined
  /** defaultdomain */
  readonly domain: string
  readonly hostName: string
  /** Groups of the configuration that an address is in. */
  groupsOf(address: string): ReadonlySet<string>
}

/** Of whom `track` remembers: a user, or a shared folder. */
export const ownerOf = ({
  userId,
  account,
}: {
  readonly userId: UserId | undefined
  readonly account: Account
}): string => userId ?? account.userId

export const duplicateKey = (handle: string, id: string): string => `duplicate ${JSON.stringify([handle, id])}`

/** RFC 6134 §2.1: a list is named by a URI. */
const groupList = /^tag:[^:]+:group\/(.+)$/i

export function environmentOf(around: Surroundings): Environment {
  const { transaction, recipient, mailboxes, turn, globalScript, domain, hostName } = around
  const { trace } = transaction
  return {
    now: around.nowMs,
    zoneOffsetMinutes: (atMs) => -new Date(atMs).getTimezoneOffset(),
    maxRedirects: around.maxRedirects,
    items: {
      domain,
      host: hostName,
      location: 'MS',
      phase: 'during',
      name: 'Wherry',
      ...(trace === undefined ? {} : { 'remote-host': trace.name ?? '', 'remote-ip': trace.address ?? '' }),
    },
    script: (location, name) => includedScript(location, name, recipient.account, globalScript),
    // In doubt it is none: a message may be thrown away for it. RFC 7352 §3
    isDuplicate: async (handle, id) => (await turn.knows('id', duplicateKey(handle, id))) === true,
    isNotifyMethod: async (uri) => /^mailto:/i.test(uri),
    listContains: async (list, value) => {
      const group = groupList.exec(list)?.[1]
      return group !== undefined && around.groupsOf(value).has(group)
    },
    isList: async (list) => groupList.test(list),
    ...(mailboxes === undefined
      ? {}
      : {
          mailboxExists: (name) => mailboxes.exists(name),
          specialUseExists: (name, uses) => mailboxes.hasUses(name, uses),
          metadata: (name, entry) => mailboxes.annotation(name, entry),
        }),
  }
}
