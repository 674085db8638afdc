/**
 * Several processes over one simulated disk, and a ledger of what they were told. A schedule decides which process makes the next call; the
 * invariants of mdir are checked against the ledger.
 */

import { systemClock } from '#src/base/clock.ts'
import type { ModSeq, Uid } from '#src/base/ids.ts'
import type { StoreOptions } from '#src/store/store.ts'
import type { Account, Delivered, Mailbox } from '#src/store/types.ts'
import type { Call, MemoryDisk } from './disk.ts'
import { deliver, storeIn, textOf, user } from './support.ts'

const root = '/s'

/** Calls whose order between processes can't matter without a crash: they touch what only their maker knows. */
function isPrivate({ operation, path }: Call): boolean {
  return (
    operation === 'syncDirectory' ||
    operation === 'write' ||
    operation === 'append' ||
    (operation === 'status' && /\/(tmp\/\w+|msg|cache|tmp)$/.test(path)) ||
    (operation === 'remove' && path.includes('/tmp/')) ||
    path.includes('/msg/')
  )
}

interface Waiting {
  readonly actor: number
  readonly call: Call
  readonly proceed: () => void
}

/** What the processes were told, by UIDVALIDITY and UID. */
export class Ledger {
  /** Every message that was ever shown: text by `mailbox/uidValidity/uid`. */
  readonly shown = new Map<string, string>()
  /** Acknowledged deliveries and what became of them. */
  readonly delivered = new Map<string, { text: string; origin: string | undefined }>()
  readonly expunging = new Set<string>()
  /** The MODSEQ at which an expunge was acknowledged. */
  readonly expunged = new Map<string, ModSeq>()
  readonly faults: string[] = []
  private readonly modSeqs = new Map<string, ModSeq>()

  /** A reader looks: everything that it sees must agree with what anybody saw before. */
  async look(mailbox: Mailbox): Promise<void> {
    const { name, uidValidity, messages, highestModSeq } = mailbox
    const box = `${name}/${uidValidity}`
    const before = this.modSeqs.get(box) ?? 0
    if (highestModSeq > before) this.modSeqs.set(box, highestModSeq)
    let last = 0
    for (const { uid, modSeq } of messages) {
      if (uid <= last || uid >= mailbox.uidNext) this.faults.push(`UID ${uid} after ${last} of ${mailbox.uidNext}`)
      if (modSeq > highestModSeq) this.faults.push(`MODSEQ ${modSeq} above ${highestModSeq}`)
      last = uid
      const key = `${box}/${uid}`
      if (highestModSeq >= (this.expunged.get(key) ?? Number.POSITIVE_INFINITY)) this.faults.push(`${key} came back`)
      if (this.shown.has(key)) continue
      this.shown.set(key, '')
      const text = await textOf(mailbox, uid).catch((error: unknown) => {
        // Expunged by another one meanwhile, and removed: then it can't be read any more.
        if (!this.expunging.has(key)) this.faults.push(`${key}: ${String(error)}`)
        return ''
      })
      this.shown.set(key, text)
    }
  }

  /** After all is quiet, or after a crash: a fresh process must find all that was acknowledged, once. */
  async check(disk: MemoryDisk): Promise<readonly string[]> {
    const faults = [...this.faults]
    await using store = storeIn(root, { fs: disk.fs() })
    const account = store.account(user)
    for (const { name, selectable } of await account.list()) {
      if (!selectable) continue
      const mailbox = await account.open(name)
      const box = `${name}/${mailbox.uidValidity}`
      const origins = new Set<string>()
      if (mailbox.highestModSeq < (this.modSeqs.get(box) ?? 0)) faults.push(`${box}: MODSEQ went back`)
      for (const { uid, origin } of mailbox.messages) {
        const key = `${box}/${uid}`
        const text = await textOf(mailbox, uid).catch((error: unknown) => String(error))
        const shown = this.shown.get(key)
        if (shown !== undefined && shown !== '' && shown !== text) faults.push(`${key} was ${shown} and is ${text}`)
        if (this.expunged.has(key)) faults.push(`${key} is expunged and there`)
        if (origin === undefined) continue
        if (origins.has(origin)) faults.push(`${origin} is there twice`)
        origins.add(origin)
      }
      for (const [key, { text }] of this.delivered) {
        if (!key.startsWith(`${box}/`)) continue
        const uid = Number(key.slice(box.length + 1)) as Uid
        const there = mailbox.byUid(uid) !== undefined
        if (!there && !this.expunging.has(key)) faults.push(`${key} (${text}) is lost`)
        if (there && (await textOf(mailbox, uid)) !== text) faults.push(`${key} is not ${text}`)
      }
      for (const key of this.shown.keys()) {
        if (!key.startsWith(`${box}/`)) continue
        const uid = Number(key.slice(box.length + 1))
        if (uid >= mailbox.uidNext) faults.push(`${key} was shown, UIDNEXT is ${mailbox.uidNext}`)
        if (mailbox.byUid(uid as Uid) === undefined && !this.expunging.has(key)) faults.push(`${key} vanished`)
      }
      // What comes next gets a new UID.
      const next = await deliver(mailbox, 'probe')
      if ('uid' in next && this.shown.has(`${box}/${next.uid}`)) faults.push(`UID ${next.uid} was given before`)
    }
    return faults
  }
}

/** One process: its store, and the way to stop it for ever. */
export interface Actor {
  readonly account: Account
  readonly ledger: Ledger
  readonly name: string
  /** Resolves when all are ready: only from then on, and until `finished`, the schedule is varied. */
  ready(): Promise<void>
  finished(): void
}

export type Work = (actor: Actor) => Promise<void>

/** Opens INBOX, does the work, looks at what is there. */
export function inInbox(work: (mailbox: Mailbox, actor: Actor) => Promise<void>): Work {
  return async (actor) => {
    const mailbox = await actor.account.open('INBOX')
    await actor.ledger.look(mailbox)
    await actor.ready()
    await work(mailbox, actor)
    actor.finished()
    await mailbox.refresh()
    await actor.ledger.look(mailbox)
  }
}

export function noteDelivered(
  { ledger }: Actor,
  mailbox: Mailbox,
  delivered: Delivered,
  text: string,
  origin?: string,
): void {
  if ('uid' in delivered)
    ledger.delivered.set(`${mailbox.name}/${mailbox.uidValidity}/${delivered.uid}`, { text, origin })
}

export async function expungeNoted({ ledger }: Actor, mailbox: Mailbox, uids: readonly Uid[]): Promise<void> {
  const keys = uids.map((uid) => `${mailbox.name}/${mailbox.uidValidity}/${uid}`)
  for (const key of keys) ledger.expunging.add(key)
  await mailbox.expunge(uids, 'client')
  for (const key of keys) ledger.expunged.set(key, mailbox.highestModSeq)
}

const quiet = () => new Promise<void>((resolve) => setImmediate(resolve))

/**
 * Runs the works as processes of their own over `disk`. Whenever several could make a call that matters, `choose(n)` says which one does.
 * Stops dead after `calls` calls (counted from when all are ready). Answers whether all came to their end.
 */
export async function interleave(
  disk: MemoryDisk,
  works: readonly Work[],
  ledger: Ledger,
  choose: (options: number) => number,
  options: {
    readonly calls?: number
    readonly everyCall?: boolean
    readonly store?: Partial<StoreOptions>
    readonly onCall?: (call: Call) => void
  } = {},
): Promise<boolean> {
  const waiting: Waiting[] = []
  const failures: unknown[] = []
  let running = works.length
  let left = options.calls ?? Number.POSITIVE_INFINITY
  let arrivals = 0
  const unready = new Set(works.keys())
  const finished = new Set<number>()
  const allReady: (() => void)[] = []
  for (const [index, work] of works.entries()) {
    const gate = (call: Call) =>
      new Promise<void>((resolve) => {
        arrivals += 1
        options.onCall?.(call)
        waiting.push({ actor: index, call, proceed: resolve })
      })
    // A step takes no time, so nobody waits for another one to take it.
    const clock = { ...systemClock, monotonic: () => 0 }
    const store = storeIn(root, { fs: disk.fs(gate), clock, ...options.store })
    const actor: Actor = {
      account: store.account(user),
      ledger,
      name: `actor-${index}`,
      ready: () =>
        new Promise((resolve) => {
          unready.delete(index)
          allReady.push(resolve)
          if (unready.size === 0) for (const begin of allReady) begin()
        }),
      finished: () => void finished.add(index),
    }
    // What goes on beside the work comes to its end as well.
    const whole = work(actor).then(() => store.close())
    whole.then(
      () => {
        running -= 1
      },
      (error: unknown) => {
        running -= 1
        failures.push(error)
      },
    )
  }
  const settle = async () => {
    // A large entry is worked on with pauses: a few turns without a call don't mean that none comes.
    for (let still = 0; still < 6; ) {
      const before = arrivals
      await quiet()
      still = arrivals === before ? still + 1 : 0
    }
  }
  for (;;) {
    await settle()
    if (failures.length > 0) throw failures[0]
    if (running === 0 || left <= 0) break
    const free = waiting.findIndex(
      (one) => unready.size > 0 || finished.has(one.actor) || (options.everyCall !== true && isPrivate(one.call)),
    )
    let next = free
    if (next < 0) {
      const actors = [...new Set(waiting.map((one) => one.actor))].sort()
      if (actors.length === 0) throw new Error('nobody can go on')
      const actor = actors[actors.length === 1 ? 0 : choose(actors.length)]
      next = waiting.findIndex((one) => one.actor === actor)
    }
    if (unready.size === 0) left -= 1
    waiting.splice(next, 1)[0]!.proceed()
  }
  return running === 0
}
