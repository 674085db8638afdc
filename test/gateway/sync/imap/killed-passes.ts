/** A pass over a real IMAP account that is killed, ever later, until it comes to its end. */
import { defaultLimits } from '#gateway/backend/types.ts'
import type { SyncOnceRequest } from '#gateway/sync/sync-once.ts'
import { systemClock } from '#src/base/clock.ts'
import { silentLog } from '#src/base/log.ts'
import { openStore } from '#src/store/store.ts'
import type { Dovecot } from '../../../support/dovecot.ts'
import { backendAt, Syncer } from '../support.ts'
import { MortalFs } from './mortal-fs.ts'

/** After 20 calls of the file system, then after `growth` times as many. Answers how often it was killed. */
export const passThroughKills = async (
  root: string,
  { imapPort, user }: Pick<Dovecot, 'imapPort'> & { readonly user: string },
  policy: Partial<SyncOnceRequest['policy']>,
  growth: number,
): Promise<number> => {
  let kills = 0
  for (let calls = 20; ; calls = Math.ceil(calls * growth)) {
    const mortal = new MortalFs()
    const death = new AbortController()
    const dead = Promise.withResolvers<false>()
    mortal.killAfter(calls, () => {
      death.abort()
      dead.resolve(false)
    })
    const own = openStore({ root, clock: systemClock, log: silentLog, fs: mortal.fs, onCommit: () => {} })
    const backend = backendAt(imapPort, { protocol: 'imap', mailbox: '', user })
    const pass = new Syncer(own, backend, { limits: defaultLimits })
      .sync(policy, { password: Buffer.from('secret'), signal: death.signal })
      .then(() => true)
    if (await Promise.race([pass, dead.promise])) {
      await own.close()
      return kills
    }
    kills += 1
  }
}
