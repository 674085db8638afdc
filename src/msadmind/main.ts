/** msadmind: removes from the disk what can't be brought back any more, of users whom nobody looks at, too. SHR-15 */

import { StoreError } from '../base/errors.ts'
import { runDaemon } from '../server/daemon.ts'
import { openMailStore } from '../server/mail-store.ts'
import type { Daemon, Runtime } from '../server/types.ts'
import { sharingOf } from '../sharing/sharing.ts'
import { sharedFoldersPrefix } from '../sharing/trees.ts'
import type { Account, Store } from '../store/types.ts'

/** Between the beginnings of two passes over all accounts. */
const everyMs = 86_400_000

export const msadmind: Daemon = {
  name: 'msadmind',
  workers: 'one',
  async start(runtime) {
    const store = openMailStore(runtime)
    const stopping = new AbortController()
    const parts = { ...runtime }
    const passes = goOn(store, parts, stopping.signal)
    return {
      addresses: [],
      async stop() {
        stopping.abort()
        await store.close()
        await passes
      },
      async reload(next) {
        store.reload(next)
        parts.config = next
        return []
      },
    }
  },
}

type Parts = Pick<Runtime, 'config' | 'log' | 'clock'>

async function goOn(store: Store, parts: Parts, signal: AbortSignal): Promise<void> {
  const { clock } = parts
  while (!signal.aborted) {
    const beganMs = clock.monotonic()
    await pass(store, parts, signal)
    // Rejects when it is to stop.
    await clock.sleep(Math.max(0, everyMs - (clock.monotonic() - beganMs)), signal).catch(() => {})
  }
}

/** One account after another: nobody waits for this. What can't be done now is done tomorrow. */
async function pass(store: Store, { config, log, clock }: Parts, signal: AbortSignal): Promise<void> {
  const beganMs = clock.monotonic()
  let [accounts, failed] = [0, 0]
  const tidy = async (account: Account) => {
    try {
      await account.tidy()
      accounts += 1
    } catch (error) {
      if (signal.aborted) return
      failed += 1
      const severity = error instanceof StoreError ? 'info' : 'err'
      log.log(severity, 'an account could not be tidied', { user: account.userId, cause: String(error) })
    }
  }
  try {
    for await (const userId of store.accounts()) {
      if (signal.aborted) return
      await tidy(store.account(userId))
    }
    for (const { name, directory } of sharingOf(config).trees) {
      const tree = store.tree(sharedFoldersPrefix + name, directory)
      if (!signal.aborted && (await tree.exists())) await tidy(tree)
    }
    const seconds = Math.round((clock.monotonic() - beganMs) / 1000)
    log.log('notice', 'tidied all accounts', { accounts, failed, seconds })
  } catch (error) {
    if (!signal.aborted) log.log('err', 'accounts could not be tidied', { cause: String(error) })
  }
}

if (import.meta.main) await runDaemon(msadmind)
