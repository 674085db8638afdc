/** The store as the configuration places it, with its commits told to whoever listens. */
import { resolve } from 'node:path'
import { openAccountSource } from '../auth/account-source.ts'
import type { Accounts } from '../auth/accounts.ts'
import type { UserId } from '../base/ids.ts'
import type { Config } from '../config/config.ts'
import { openStore, type StoreOptions } from '../store/store.ts'
import type { Store } from '../store/types.ts'
import { createQuotas, type Quotas } from './quotas.ts'
import type { Runtime } from './types.ts'

/** Where mail lives. USR-05: the root in the user's own entry counts when his mail directory is made. */
export const storePlaces = (
  config: Config,
  accounts: Pick<Accounts, 'find'>,
): Required<Pick<StoreOptions, 'root' | 'partitions' | 'archives' | 'partitionRule' | 'ownRoot'>> => ({
  root: config.get('userdir'),
  partitions: config.all('partitions'),
  archives: config.all('archives'),
  partitionRule: config.get('partition_rule'),
  ownRoot: async (userId: UserId) => {
    const account = await accounts.find(userId)
    const own = account?.properties.find(([name]) => name.toLowerCase() === ownRootProperty)
    return own === undefined ? undefined : resolve(own[1])
  },
})

/** mboxRootUserDir, as names of properties are compared. */
export const ownRootProperty = 'mboxRootUserDir'.toLowerCase()

export interface MailStore extends Store {
  readonly quotas: Quotas
  /** Goes on under another configuration, as far as it can. */
  reload(config: Config): void
}

/** What this process does to mail, beside the event channel, by which it does not hear itself. */
export type OwnNotices = Required<Pick<StoreOptions, 'onCommit' | 'onTree'>>

/** For every daemon that reads or writes mail. Close it after the last session. */
export const openMailStore = ({
  config,
  log,
  clock,
  events,
  bring,
  own,
}: Pick<Runtime, 'config' | 'log' | 'clock' | 'events'> &
  Pick<StoreOptions, 'bring'> & { readonly own?: OwnNotices }): MailStore => {
  let current = config
  const accounts = openAccountSource({ config, log, clock })
  const store = openStore({
    ...storePlaces(config, accounts),
    log,
    clock,
    ...(bring === undefined ? {} : { bring }),
    undeleteDays: () => current.get('undelete_days'),
    onCommit: (notice) => {
      const { userId, mailbox, highestModSeq: modseq, added, updated, expunged } = notice
      const fields = { mailbox, added, updated, expunged, modseq }
      events.publish({ topic: `mbox:${userId}`, name: 'mailbox', fields })
      own?.onCommit(notice)
    },
    onTree: (notice) => {
      const { userId, change, mailbox, to } = notice
      const fields = { mailbox, change, ...(to === undefined ? {} : { to }) }
      events.publish({ topic: `mbox:${userId}`, name: 'tree', fields })
      own?.onTree(notice)
    },
  })
  const reload = (next: Config) => {
    accounts.reload(next)
    current = next
  }
  const quotas = createQuotas({ config: () => current, accounts, clock })
  const closeStore = store.close.bind(store)
  const close = async () => {
    await closeStore()
    await accounts.close()
  }
  return Object.assign(store, { quotas, reload, close })
}
