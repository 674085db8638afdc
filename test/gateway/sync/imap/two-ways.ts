/**
 * Two sides of one account that both change, a real IMAP server and a store, and passes between them that are killed at random calls of the
 * file system. Whatever happened: in the end both are the same, nothing that nobody deleted is gone, and nothing is there more often than it
 * was copied. `node test/gateway/sync/imap/two-ways.ts ROUNDS SEED` tells what it tried.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ImapFlow } from 'imapflow'
import { BackendProfiles } from '#gateway/backend/profile.ts'
import { defaultLimits } from '#gateway/backend/types.ts'
import { directInjection } from '#gateway/sync/inject/direct.ts'
import { Setbacks } from '#gateway/sync/setbacks.ts'
import { type SyncOnceRequest, syncOnce } from '#gateway/sync/sync-once.ts'
import { systemClock } from '#src/base/clock.ts'
import { StoreError } from '#src/base/errors.ts'
import type { Uid } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { openStore } from '#src/store/store.ts'
import type { Account, Mailbox } from '#src/store/types.ts'
import { startCyrus } from '../../../support/cyrus.ts'
import { startDovecot } from '../../../support/dovecot.ts'
import { mulberry32 } from '../../../support/random.ts'
import { backendAt, userId } from '../support.ts'
import { MortalFs } from './mortal-fs.ts'
import { clientOf } from './support.ts'
import { message, put, type Seen, treeHere, treeThere } from './trees.ts'

export interface Campaign {
  readonly rounds: number
  readonly changes: number
  readonly passes: number
  readonly kills: number
  /** Comparisons in which mailboxes were the same under different names. */
  readonly namesApart: number
  readonly violations: readonly string[]
}

const flags = ['\\Seen', '\\Flagged', '\\Answered', 'Work', '$Later']
const names = ['INBOX', 'a', 'b', 'a/x', 'c']

const servers = {
  dovecot: () => startDovecot({ users: { anna: 'secret' }, protocols: ['imap'] }),
  /** With the names that Dovecot has. */
  cyrus: () => startCyrus({ users: { anna: 'secret' }, altNamespace: true, separator: '/' }),
}

export type Peer = keyof typeof servers

export async function twoWays(
  rounds: number,
  seed: number,
  without: readonly string[] = [],
  peer: Peer = 'dovecot',
): Promise<Campaign> {
  const random = mulberry32(seed)
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!
  const some = (uids: readonly number[]): Uid[] => uids.filter(() => random() < 0.3) as Uid[]
  await using server = await servers[peer]()
  const root = await mkdtemp(join(tmpdir(), 'two-ways-'))
  const store = openStore({ root, clock: systemClock, log: silentLog, onCommit: () => {} })
  const account = store.account(userId)
  await account.ensure()
  let there = await clientOf(server)
  const violations: string[] = []
  const counts = { changes: 0, passes: 0, kills: 0, namesApart: 0 }
  let offsetMs = 0
  const clock = { ...systemClock, now: () => systemClock.now() + offsetMs } as typeof systemClock
  /** Messages by number: how often they may be there, and whether somebody may have deleted them. */
  const known = new Map<string, { most: number; deleted: boolean }>()
  let next = 0
  const setbacks = new Setbacks()
  const profiles = new BackendProfiles()

  /** True when it came to its end. */
  const pass = async (callsToLive: number): Promise<boolean> => {
    counts.passes += 1
    const mortal = new MortalFs()
    const death = new AbortController()
    let killed: () => void = () => {}
    const dead = new Promise<false>((resolve) => {
      killed = () => resolve(false)
    })
    mortal.killAfter(callsToLive, () => {
      death.abort()
      killed()
    })
    const own = openStore({ root, clock: systemClock, log: silentLog, fs: mortal.fs, onCommit: () => {} })
    const request: SyncOnceRequest = {
      backend: backendAt(server.imapPort, { protocol: 'imap', mailbox: '', user: 'anna' }),
      others: [],
      userId,
      password: Buffer.from('secret'),
      store: own,
      access: { profiles, limits: defaultLimits, withoutCapabilities: without },
      policy: { fetchLastN: 0, ignoreFrontendDeletes: false, fetchSetSize: 3, inboxOnly: false },
      injection: directInjection(systemClock),
      setbacks,
      clock,
      log: silentLog,
      signal: death.signal,
    }
    const whole = await Promise.race([syncOnce(request).then(() => true as const), dead])
    if (whole) await own.close()
    else counts.kills += 1
    return whole
  }

  const idsOf = (seen: readonly Seen[]): string[] => seen.flatMap(({ text }) => /Subject: (\d+)/.exec(text)?.[1] ?? [])
  const deleted = (ids: readonly string[]) => {
    for (const id of ids) known.get(id)!.deleted = true
  }
  const doubled = (ids: readonly string[]) => {
    for (const id of ids) known.get(id)!.most += 1
  }
  const fresh = (): string => {
    const id = String(next++)
    known.set(id, { most: 1, deleted: false })
    return id
  }

  for (let round = 0; round < rounds; round += 1) {
    for (let change = 0; change < 4; change += 1) {
      counts.changes += 1
      // Dovecot ends a session whose mailbox somebody removes.
      if (!there.usable) there = await clientOf(server)
      await (random() < 0.5
        ? changeHere(account, { random, pick, some, fresh, deleted, doubled, idsOf })
        : changeThere(there, { random, pick, some, fresh, deleted, doubled, idsOf }))
    }
    // Killed sooner or later, or not at all.
    const lives = random() < 0.7 ? Math.floor(random() ** 2 * 400) : Infinity
    await pass(lives)
    if (round % 10 !== 9 && round !== rounds - 1) continue
    for (let quiet = 0; quiet < 5; quiet += 1) {
      offsetMs += 100_000_000 / 2
      await pass(Infinity)
    }
    // A session of its own: Dovecot lists a mailbox that is gone, and has some below it, until its session ends.
    const other = await clientOf(server)
    const [here, beyond] = [await treeHere({ account }), await treeThere({ other })]
    other.close()
    // A name that was given to different mailboxes on both sides stays with each (decision 88): then all but the names is the same.
    const [a, b] = [contentsOf(here), contentsOf(beyond)]
    if (a === b && JSON.stringify(here) !== JSON.stringify(beyond)) counts.namesApart += 1
    if (a !== b) violations.push(`round ${round}: not the same\n  here  ${brief(here)}\n  there ${brief(beyond)}`)
    const found = new Map<string, number>()
    for (const id of Object.values(here).flatMap(idsOf)) found.set(id, (found.get(id) ?? 0) + 1)
    for (const [id, { most, deleted }] of known) {
      const count = found.get(id) ?? 0
      if (count === 0 && !deleted) violations.push(`round ${round}: message ${id} is lost`)
      if (count > most) violations.push(`round ${round}: message ${id} is there ${count} times, not ${most}`)
      // What is gone is not looked for again.
      if (count === 0) known.delete(id)
      else known.set(id, { most: count, deleted: false })
    }
    if (violations.length > 5) break
  }
  there.close()
  await store.close()
  await rm(root, { recursive: true, force: true, maxRetries: 5 })
  return { rounds, ...counts, violations }
}

const contentsOf = (tree: Record<string, readonly Seen[]>): string =>
  Object.values(tree)
    .map((seen) => JSON.stringify(seen))
    .sort()
    .join('\n')

interface Tools {
  readonly random: () => number
  readonly pick: <T>(items: readonly T[]) => T
  readonly some: (uids: readonly number[]) => Uid[]
  readonly fresh: () => string
  readonly deleted: (ids: readonly string[]) => void
  readonly doubled: (ids: readonly string[]) => void
  readonly idsOf: (seen: readonly Seen[]) => string[]
}

async function changeHere(account: Account, tools: Tools): Promise<void> {
  const { random, pick, some, fresh, deleted, doubled } = tools
  const withMailbox = async (work: (mailbox: Mailbox) => Promise<void>) => {
    await using mailbox = await account.open(pick(names))
    await mailbox.refresh()
    await work(mailbox)
  }
  const ids = async (mailbox: Mailbox, uids: readonly Uid[]): Promise<string[]> => {
    const found: string[] = []
    for (const uid of uids) {
      await using content = await mailbox.content(mailbox.byUid(uid)!)
      found.push(...(/Subject: (\d+)/.exec((await content.read(0, 200)).toString())?.slice(1) ?? []))
    }
    return found
  }
  const uidsIn = (mailbox: Mailbox) => Array.from(mailbox.messages, ({ uid }) => uid)
  const choice = random()
  try {
    if (choice < 0.3)
      await withMailbox((mailbox) => put(mailbox, message(fresh()), random() < 0.5 ? [pick(flags)] : []))
    else if (choice < 0.5)
      await withMailbox(async (mailbox) => {
        const mode = pick(['add', 'remove', 'set'] as const)
        await mailbox.changeFlags({ uids: some(uidsIn(mailbox)), mode, flags: [pick(flags)] })
      })
    else if (choice < 0.65)
      await withMailbox(async (mailbox) => {
        const uids = some(uidsIn(mailbox))
        deleted(await ids(mailbox, uids))
        await mailbox.expunge(uids, 'client')
      })
    else if (choice < 0.8)
      await withMailbox(async (mailbox) => {
        await using target = await account.open(pick(names))
        if (target.name === mailbox.name) return
        const uids = some(uidsIn(mailbox))
        doubled(await ids(mailbox, uids))
        if (random() < 0.5) await mailbox.copyTo(uids, target)
        else await mailbox.moveTo(uids, target)
      })
    else if (choice < 0.88) await account.create(pick(names))
    else if (choice < 0.92) {
      const name = pick(names)
      if (name === 'INBOX') return
      await using mailbox = await account.open(name)
      deleted(await ids(mailbox, uidsIn(mailbox)))
      await account.remove(name)
    } else if (choice < 0.96) {
      const [from, to] = [pick(names), pick(names)]
      if (from !== 'INBOX' && to !== 'INBOX') await account.rename(from, to)
    } else await account[pick(['subscribe', 'unsubscribe'] as const)](pick(names))
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
  }
}

async function changeThere(client: ImapFlow, tools: Tools): Promise<void> {
  const { random, pick, some, fresh, deleted, doubled } = tools
  const seen = async (path: string): Promise<Map<number, string>> => {
    const found = new Map<number, string>()
    const mailbox = await client.mailboxOpen(path)
    if (mailbox.exists === 0) return found
    for await (const { uid, source } of client.fetch('1:*', { uid: true, source: true }, { uid: true })) {
      const id = /Subject: (\d+)/.exec(source!.toString())?.[1]
      if (id !== undefined) found.set(uid, id)
    }
    return found
  }
  const choice = random()
  const path = pick(names)
  try {
    if (choice < 0.3) {
      const id = fresh()
      await client.append(path, message(id), random() < 0.5 ? [pick(flags)] : []).catch(() => deleted([id]))
    } else if (choice < 0.5) {
      const set = some([...(await seen(path)).keys()]).join(',')
      if (set === '') return
      if (random() < 0.5) await client.messageFlagsAdd(set, [pick(flags)], { uid: true })
      else await client.messageFlagsRemove(set, [pick(flags)], { uid: true })
    } else if (choice < 0.65) {
      const all = await seen(path)
      const uids = some([...all.keys()])
      if (uids.length === 0) return
      deleted(uids.map((uid) => all.get(uid)!))
      await client.messageDelete(uids.join(','), { uid: true })
    } else if (choice < 0.8) {
      const all = await seen(path)
      const uids = some([...all.keys()])
      const target = pick(names)
      if (uids.length === 0 || target === path) return
      doubled(uids.map((uid) => all.get(uid)!))
      if (random() < 0.5) await client.messageCopy(uids.join(','), target, { uid: true })
      else await client.messageMove(uids.join(','), target, { uid: true })
    } else if (choice < 0.88) await client.mailboxCreate(path)
    else if (choice < 0.92) {
      if (path === 'INBOX') return
      const all = await seen(path)
      deleted([...all.values()])
      await client.mailboxClose()
      await client.mailboxDelete(path)
    } else if (choice < 0.96) {
      const to = pick(names)
      if (path !== 'INBOX' && to !== 'INBOX') await client.mailboxRename(path, to)
    } else if (random() < 0.5) await client.mailboxSubscribe(path)
    else await client.mailboxUnsubscribe(path)
  } catch {
    // Refused, or the session ended: what was asked for may have been done all the same, as the notes say.
  }
}

const brief = (tree: Record<string, readonly Seen[]>): string =>
  Object.entries(tree)
    .map(([name, seen]) => {
      const messages = seen.map(({ text, flags }) => `${/Subject: (\d+)/.exec(text)?.[1]}[${flags}]`)
      return `${name}: ${messages.join(' ')}`
    })
    .join('; ')

if (import.meta.main) {
  const [rounds = '1000', seed = String(Date.now() % 1_000_000), ...without] = process.argv.slice(2)
  const began = performance.now()
  const campaign = await twoWays(Number(rounds), Number(seed), without)
  const seconds = Math.round((performance.now() - began) / 1000)
  console.log(
    `seed ${seed}: ${campaign.rounds} rounds, ${campaign.changes} changes, ${campaign.passes} passes, ${campaign.kills} kills, ${campaign.namesApart} times names apart, ${campaign.violations.length} violations, ${seconds} s`,
  )
  for (const violation of campaign.violations) console.log(violation)
  process.exit(campaign.violations.length === 0 ? 0 : 1)
}
