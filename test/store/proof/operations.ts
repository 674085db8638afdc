/** The operations of the store that crash and fault proofs go through, call by call. */

import { copySource } from '#src/store/copy-origin.ts'
import type { StoreOptions } from '#src/store/store.ts'
import type { Account, Mailbox, Store } from '#src/store/types.ts'
import { announce, deliver, deliverAll, deliverShared, share, storeIn, textOf, uids, user } from '../actions.ts'
import { type Call, type Gate, type Lie, MemoryDisk } from '../disk.ts'
import { root } from './ledger.ts'
import { DiskClock, quiet } from './turns.ts'

type Act = (account: Account, clock: DiskClock, store: Store) => Promise<unknown>

/** Several in one are acknowledged one after another. */
export interface Step {
  readonly act: Act
  /** What it consists of where it is not made in one step; what each of them leaves may be seen. */
  readonly by?: readonly Act[]
  /** It goes on beside the caller: what it consists of may be seen after it is acknowledged. */
  readonly isDoneLater?: boolean
}

export interface Operation {
  readonly steps: readonly Step[]
  /** Of every store that works on the disk. */
  readonly store?: Partial<StoreOptions>
  /** Time that goes by before anybody looks at what is left. */
  readonly laterMs?: number
  /** Done to the disk before, beside what every account here has. */
  readonly prepare?: (disk: MemoryDisk) => void
}

/** Of another server. */
const givenValidity = 77

/** Where an account can be moved to. */
const otherRoot = '/t'

const inbox = (account: Account) => account.open('INBOX')
const one = (act: Act, ...by: readonly Act[]): Operation => ({ steps: [by.length === 0 ? { act } : { act, by }] })
const flagging =
  (name: string): Act =>
  async (account) =>
    (await inbox(account)).changeFlags({ uids: uids(2), mode: 'add', flags: [name] })
const delivering =
  (text: string): Act =>
  async (account) =>
    deliver(await inbox(account), text)
/** The copy is on its way into the one mailbox while the other one, which links to it, commits. */
const sharing =
  (text: string): Act =>
  async (account, _clock, store) => {
    await using shared = await share(store, text)
    const [first, second] = [await inbox(account), await account.open('a/b')]
    await using delivery = first.deliver()
    delivery.addShared({ internalDate: 1_700_000_000 }, shared)
    await deliverShared(second, shared)
    await delivery.commit()
  }
const deliveringTo =
  (name: string, text: string): Act =>
  async (account) =>
    deliver(await account.open(name), text)
const handing =
  (text: string, trace: string): Act =>
  async (account, _clock, store) => {
    await using shared = await share(store, `${trace}\r\n${text}`)
    await deliverShared(await inbox(account), shared, text)
  }
/** A mailbox that is looked at gives up what is too old. */
const purging: Act = async (account, clock) => {
  clock.pass(8 * 86_400_000)
  await (await inbox(account)).refresh()
}

export const operations: Readonly<Record<string, Operation>> = {
  deliver: one(async (account) => deliver(await inbox(account), 'third', { origin: 'o-3' })),
  'deliver a large one': one(async (account) => deliver(await inbox(account), 'L'.repeat(300_000))),
  'deliver a batch': one(async (account) =>
    deliverAll(await inbox(account), [{ text: 'a' }, { text: 'b', origin: 'o-1' }, { text: 'c' }]),
  ),
  'deliver to two': one(sharing('two'), deliveringTo('a/b', 'two'), deliveringTo('INBOX', 'two')),
  'deliver a large one to two': one(
    sharing('T'.repeat(300_000)),
    deliveringTo('a/b', 'T'.repeat(300_000)),
    deliveringTo('INBOX', 'T'.repeat(300_000)),
  ),
  'deliver what is handed over again': { steps: [{ act: handing('again', 'a') }, { act: handing('again', 'b') }] },
  'change flags': one(async (account) =>
    (await inbox(account)).changeFlags({ uids: uids(1, 2), mode: 'add', flags: ['\\Seen'] }),
  ),
  expunge: one(async (account) => (await inbox(account)).expunge(uids(1), 'client')),
  'expunge and clear away': one(async (account, clock) => {
    await (await inbox(account)).expunge(uids(1), 'client')
    clock.pass(3_600_000)
  }),
  forget: {
    steps: [
      { act: async (account) => (await inbox(account)).expunge(uids(1), 'backend') },
      { act: async (account) => (await inbox(account)).forget(['o-1']) },
    ],
  },
  'give origins': one(async (account) => (await inbox(account)).giveOrigins([[uids(2)[0]!, 'o-given']])),
  copy: one(async (account) => (await inbox(account)).copyTo(uids(1, 2), await account.open('a/b'))),
  move: one(
    async (account) => (await inbox(account)).moveTo(uids(1, 2), await account.open('a/b')),
    async (account) => (await inbox(account)).copyTo(uids(1, 2), await account.open('a/b')),
    async (account) => (await inbox(account)).expunge(uids(1, 2), 'client'),
  ),
  'claim \\Recent': one(async (account) => (await inbox(account)).claimRecent()),
  'raise MODSEQ': one(async (account) => (await inbox(account)).raiseModSeq()),
  'take UIDs over': {
    steps: [
      { act: (account) => account.create('new') },
      { act: (account) => account.adoptUids('new', { uidValidity: givenValidity, uidNext: uids(9)[0]! }) },
      { act: async (account) => deliver(await account.open('new'), 'from there', { uid: uids(7)[0]! }) },
      { act: async (account) => deliver(await account.open('new'), 'from here') },
      { act: async (account) => (await account.open('new')).raiseUidNext(uids(20)[0]!) },
    ],
  },
  'announce, and let come': {
    steps: [
      {
        act: async (account) =>
          announce(
            await inbox(account),
            ['o-1', 'o-8', 'o-9'].map((origin) => ({ origin, internalDate: 1, sizeOctets: 5, flags: ['\\Flagged'] })),
          ),
      },
      { act: async (account) => (await inbox(account)).changeFlags({ uids: uids(3), mode: 'add', flags: ['\\Seen'] }) },
      {
        act: async (account) =>
          deliverAll(await inbox(account), [
            { text: 'eight', origin: 'o-8' },
            { text: 'again', origin: 'o-8' },
            { text: 'own' },
          ]),
      },
      { act: async (account) => (await inbox(account)).expunge(uids(4), 'client') },
      { act: async (account) => deliver(await inbox(account), 'too late', { origin: 'o-9' }) },
    ],
  },
  create: one((account) => account.create('n/e/w')),
  'rename a tree': one((account) => account.rename('a', 'z')),
  'rename INBOX': one(
    (account) => account.rename('INBOX', 'old'),
    (account) => account.create('old'),
    async (account) => (await inbox(account)).copyTo(uids(1, 2), await account.open('old')),
    async (account) => (await inbox(account)).expunge(uids(1, 2), 'client'),
  ),
  remove: one((account) => account.remove('x')),
  'remove a level with children': one((account) => account.remove('a')),
  subscribe: one((account) => account.subscribe('x')),
  'change a value': one((account) => account.update('key', (value) => [...((value as readonly number[]) ?? []), 1])),
  put: one((account) => account.put({ key: { a: 1 }, other: 2 })),
  'cut an epoch': {
    store: { epochEntries: 2 },
    steps: [
      { act: async (account) => (await inbox(account)).expunge(uids(1), 'backend') },
      ...['k1', 'k2', 'k3', 'k4'].map((name) => ({ act: flagging(name) })),
    ],
  },
  'cut epochs under deliveries': {
    store: { epochEntries: 1 },
    steps: ['p', 'q', 'r', 's', 't'].map((text) => ({
      // So that the epochs before are old enough to be removed.
      act: async (account, clock, store) => {
        clock.pass(2 * 3_600_000)
        await delivering(text)(account, clock, store)
      },
    })),
  },
  undelete: {
    steps: [
      { act: async (account) => (await inbox(account)).expunge(uids(1, 2), 'client') },
      { act: async (account) => (await inbox(account)).undelete(uids(1, 2)) },
    ],
  },
  'purge what was expunged': {
    steps: [
      { act: async (account) => (await inbox(account)).expunge(uids(1), 'client') },
      { act: purging, by: [inbox, purging], isDoneLater: true },
    ],
  },
  'restore a mailbox': {
    steps: [
      { act: (account) => account.remove('x') },
      { act: async (account) => account.restore((await account.removed())[0]!.id) },
    ],
  },
  'move to another root': {
    store: { partitions: [otherRoot], partitionRule: 'first' },
    // Who would move it still counts as alive for a while.
    laterMs: 3_600_000,
    steps: [{ act: (_account, _clock, store) => store.move(user, otherRoot) }],
  },
  'repair a damaged log': {
    prepare: (disk) => {
      const log = disk.files().filter((path) => /\/INBOX\/log\/.*\/[0-9]{12}$/.test(path))
      disk.tamper(log.at(-1)!, Buffer.from('nonsense'))
    },
    steps: [{ act: (account) => inbox(account) }, { act: delivering('after the repair') }],
  },
}

function storeOn(disk: MemoryDisk, { store = {} }: Operation, clock = new DiskClock(disk), gate?: Gate): Store {
  return storeIn(root, { fs: disk.fs(gate), clock, ...store })
}

/** INBOX with two messages, `a`, `a/b` and `x` with one each, one subscription. */
export async function preparedAccount(operation: Operation): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  for (const partition of operation.store?.partitions ?? []) await disk.fs().makeDirectory(partition)
  await using store = storeOn(disk, { ...operation, store: { ...operation.store, epochEntries: 256 } })
  const account = store.account(user)
  await account.ensure()
  await deliverAll(await inbox(account), [{ text: 'first', origin: 'o-1' }, { text: 'second' }])
  for (const name of ['a', 'a/b', 'x']) {
    await account.create(name)
    await deliver(await account.open(name), `in ${name}`)
  }
  await account.subscribe('a/b')
  await store.close()
  await quiet()
  operation.prepare?.(disk)
  disk.writeBack()
  return disk
}

/** A mailbox by what matters of it to anybody. */
async function holds(mailbox: Mailbox): Promise<unknown> {
  const messages: unknown[] = []
  for (const { uid, flags, origin, internalDate, isHere } of mailbox.messages)
    messages.push([
      uid,
      isHere ? await textOf(mailbox, uid) : null,
      [...flags].sort().join(' '),
      knownOrigin(origin),
      internalDate,
    ])
  const departed = Array.from(mailbox.departed(), ([origin, { cause }]) => `${origin} ${cause}`).sort()
  const expunged = Array.from(mailbox.expunged(), ({ message, cause }) => `${message.uid} ${cause}`)
  const { recentAfter, uidValidity, uidNext } = mailbox
  // Others are of the time of each run.
  return { messages, departed, expunged, recentAfter, ...(uidValidity === givenValidity ? { uidNext } : {}) }
}

/** Mailboxes, and copies, have other names in every run. */
function knownOrigin(origin: string | undefined): string | null {
  const source = copySource(origin ?? '')
  return source === undefined ? (origin ?? null) : `copy of ${source.origin}`
}

/** What the account holds, as a fresh process sees it later: equal texts for equal contents. */
export async function contents(disk: MemoryDisk, operation: Operation): Promise<string> {
  disk.now += operation.laterMs ?? 0
  await using store = storeOn(disk, operation)
  const account = store.account(user)
  const mailboxes: Record<string, unknown> = {}
  for (const { name, selectable } of await account.list())
    if (selectable) mailboxes[name] = await holds(await account.open(name))
  const subscriptions = await account.subscriptions()
  const values = [await account.get('key'), await account.get('other')]
  const removed = (await account.removed()).map(({ name, messages }) => `${name} with ${messages}`)
  const { root } = await account.locate()
  return JSON.stringify({ mailboxes, subscriptions, values, removed, root }, null, 1)
}

/** Everything goes on as it should: in all mailboxes something comes, is marked and leaves again. */
export async function worksOn(disk: MemoryDisk, operation: Operation): Promise<readonly string[]> {
  const messagesOf = (text: string) =>
    JSON.stringify(
      JSON.parse(text),
      (key, value: unknown) => (key === 'expunged' || key === 'uidNext' ? undefined : value),
      1,
    )
  const before = messagesOf(await contents(disk, operation))
  await using store = storeOn(disk, operation)
  const account = store.account(user)
  for (const { name, selectable } of await account.list()) {
    if (!selectable) continue
    const mailbox = await account.open(name)
    const { uidNext } = mailbox
    const delivered = await deliver(mailbox, 'later')
    if (!('uid' in delivered) || delivered.uid < uidNext)
      return [`later became ${JSON.stringify(delivered)} in ${name}`]
    await mailbox.changeFlags({ uids: [delivered.uid], mode: 'add', flags: ['\\Seen'] })
    if ((await textOf(mailbox, delivered.uid)) !== 'later') return [`what came later to ${name} is something else`]
    await mailbox.expunge([delivered.uid], 'client')
  }
  const again = messagesOf(await contents(disk, operation))
  return again === before ? [] : [`${again}\nis there, and not\n${before}`]
}

/** What is asked of a call before it is made: nothing, that it fails, or that it lies. */
export type Verdict = Error | Lie | undefined

export interface Driven {
  /** Steps that were acknowledged. */
  readonly acknowledged: number
  readonly failure: unknown
  /** Of the process, which may be asked for more: then nothing happens to its calls. */
  readonly account: Account
}

/**
 * Makes the operation in a process of its own, with its calls in the order that `choose` says among those that wait, until it and
 * everything that it started has come to its end. `before` sees every call.
 */
export async function drive(
  disk: MemoryDisk,
  operation: Operation,
  choose: (waiting: number) => number,
  before: (call: Call, acknowledged: number) => Verdict,
): Promise<Driven> {
  const waiting: { readonly call: Call; readonly proceed: (verdict: Verdict) => void }[] = []
  const clock = new DiskClock(disk)
  let gated = true
  const gate = (call: Call) => {
    if (!gated) return undefined
    const { promise, resolve, reject } = Promise.withResolvers<undefined>()
    const proceed = (verdict: Verdict) => {
      if (verdict instanceof Error) reject(verdict)
      else resolve(verdict as undefined)
    }
    waiting.push({ call, proceed })
    return promise
  }
  const store = storeOn(disk, operation, clock, gate)
  const account = store.account(user)
  let acknowledged = 0
  let failure: unknown
  const made = async () => {
    for (const { act } of operation.steps) {
      await act(account, clock, store)
      acknowledged += 1
    }
  }
  void made().catch((error: unknown) => {
    failure = error
  })
  for (;;) {
    await quiet()
    if (waiting.length === 0) {
      gated = false
      return { acknowledged, failure, account }
    }
    const [chosen] = waiting.splice(choose(waiting.length), 1)
    chosen!.proceed(before(chosen!.call, acknowledged))
  }
}

export interface Stage {
  /** Steps that are acknowledged when only this, or a later one, may be found. */
  readonly of: number
  readonly contents: string
}

/** What may be found: after each step, and between where it consists of several. */
export async function stages(operation: Operation, prepared: MemoryDisk): Promise<readonly Stage[]> {
  const disk = prepared.clone()
  const found: Stage[] = [{ of: 0, contents: await contents(disk.clone(), operation) }]
  for (const [index, { act, by, isDoneLater }] of operation.steps.entries()) {
    const acts = by ?? [act]
    for (const [at, part] of acts.entries()) {
      const driven = await drive(
        disk,
        { ...operation, steps: [{ act: part }] },
        () => 0,
        () => undefined,
      )
      if (driven.failure !== undefined) throw driven.failure
      const isWhole = at + 1 === acts.length || isDoneLater === true
      found.push({ of: isWhole ? index + 1 : index, contents: await contents(disk.clone(), operation) })
    }
  }
  return found
}

/** The violation, if what is on the disk is not what it may be after so many acknowledgements. */
export function unlessAllowed(found: string, allowed: readonly Stage[], acknowledged: number): readonly string[] {
  if (allowed.some((stage) => stage.of >= acknowledged && stage.contents === found)) return []
  const known = allowed.findIndex((stage) => stage.contents === found)
  if (known >= 0)
    return [`${acknowledged} steps were acknowledged, and what is there is of the time after ${allowed[known]!.of}`]
  return [`after ${acknowledged} acknowledgements there is\n${found}`]
}
