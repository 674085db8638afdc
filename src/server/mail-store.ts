/** The store as the configuration places it, with its commits told to whoever listens. */
import type { Config } from '../config/config.ts'
import { openStore } from '../store/store.ts'
import type { Store } from '../store/types.ts'
import type { Runtime } from './types.ts'

export interface MailStore extends Store {
  /** Goes on under another configuration, as far as it can. */
  reload(config: Config): void
}

/** For every daemon that reads or writes mail. Close it after the last session. */
export const openMailStore = ({
  config,
  log,
  clock,
  events,
}: Pick<Runtime, 'config' | 'log' | 'clock' | 'events'>): MailStore => {
  let current = config
  const store = openStore({
    root: config.get('userdir'),
    log,
    clock,
    undeleteDays: () => current.get('undelete_days'),
    onCommit: ({ userId, mailbox, added, updated, expunged }) =>
      events.publish({ topic: `mbox:${userId}`, name: 'mailbox', fields: { mailbox, added, updated, expunged } }),
  })
  const reload = (next: Config) => {
    current = next
  }
  return Object.assign(store, { reload })
}
