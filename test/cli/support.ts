/** msadm as it is, in this process, over a directory of its own. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { onTestFinished } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { msadm } from '#src/cli/msadm/msadm.ts'
import { openStore } from '#src/store/store.ts'
import type { Account, Store } from '#src/store/types.ts'

export interface Result {
  readonly status: number
  readonly out: string
  readonly err: string
}

export interface Place {
  readonly directory: string
  /** Writes the configuration file anew. */
  configure(more: string): Promise<void>
  call(args: readonly string[], input?: string): Promise<Result>
  /** What another process does to a user's mail. */
  mail<T>(userId: string, work: (account: Account, store: Store) => Promise<T>): Promise<T>
}

/** Goes with the test. Names without a domain are of a.example. */
export const newPlace = async (more = ''): Promise<Place> => {
  const directory = await mkdtemp(join(tmpdir(), 'msadm-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return placeIn(directory, more)
}

/** Where accounts and mail are, in `accounts` and `user`. */
export const placeIn = async (directory: string, more = ''): Promise<Place> => {
  const configFile = join(directory, 'ms.conf')
  const configure = (options: string) =>
    writeFile(
      configFile,
      `<ms_options><account_db>accounts</account_db><userdir>user</userdir><msgtrack_db>track</msgtrack_db><domain>a.example</domain>${options}</ms_options>`,
    )
  await configure(more)
  return {
    directory,
    configure,
    call: async (args, input = '') => {
      const output = { out: '', err: '' }
      const collect = (name: 'out' | 'err') =>
        new Writable({
          write: (chunk, _, done) => {
            output[name] += chunk
            done()
          },
        })
      const status = await msadm(['-c', configFile, ...args], {
        input: Readable.from([Buffer.from(input)]),
        out: collect('out'),
        err: collect('err'),
      })
      return { status, ...output }
    },
    mail: async (userId, work) => {
      await using store = openStore({ root: join(directory, 'user'), clock: systemClock, log: silentLog })
      return await work(store.account(userId as UserId), store)
    },
  }
}

/** Into INBOX, which is made with the account when it is missing. */
export const fill = async (account: Account, sizes: readonly number[], name = 'INBOX'): Promise<void> => {
  await account.ensure()
  await using mailbox = await account.open(name)
  await using delivery = mailbox.deliver()
  for (const size of sizes) {
    const sink = delivery.add({ internalDate: 1_700_000_000 })
    await sink.write(Buffer.alloc(size, 'x'))
    await sink.end()
  }
  await delivery.commit()
}
