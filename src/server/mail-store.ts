/** The store as the configuration places it, with its commits told to whoever listens. */
import { openStore } from '../store/store.ts'
import type { Store } from '../store/types.ts'
import type { Runtime } from './types.ts'

/** For every daemon that reads or writes mail. Close it after the last session. */
export const openMailStore = ({
  config,
  log,
  clock,
  events,
}: Pick<Runtime, 'config' | 'log' | 'clock' | 'events'>): Store =>
  openStore({
    root: config.get('userdir'),
    log,
    clock,
    onCommit: ({ userId, mailbox, added, updated, expunged }) =>
      events.publish({ topic: `mbox:${userId}`, name: 'mailbox', fields: { mailbox, added, updated, expunged } }),
  })
