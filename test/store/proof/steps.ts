/** What a process of a proof can do: one call of the store each, with a note in the ledger of what it was promised. */

import { StoreError } from '#src/base/errors.ts'
import type { Uid } from '#src/base/ids.ts'
import type { Mailbox } from '#src/store/types.ts'
import { deliver, deliverAll, deliverShared, share, storeIn, uids, user } from '../actions.ts'
import { MemoryDisk } from '../disk.ts'
import { boxOf, handedText, keyOf, root } from './ledger.ts'
import { uniqueNamesIn } from './reduction.ts'
import type { Actor, Work } from './schedule.ts'
import { DiskClock } from './turns.ts'

/** A process with the mailboxes that it has open. */
export interface Process extends Actor {
  open(name: string): Mailbox
}

export interface Step {
  readonly name: string
  /** Mailboxes that have to be open. */
  readonly opens: readonly string[]
  /** It may come too late for something that another one removes, renames or expunges. */
  readonly mayFail?: boolean
  readonly run: (process: Process) => Promise<void>
}

/** Of the message with UID 3, which is expunged. */
const expungedText = 'gone'

/** An account whose INBOX holds two messages, and one that was expunged; `a/b` and `x`, where asked for, hold one each. */
export async function preparedDisk(mailboxes: readonly string[] = []): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  await using store = storeIn(root, { fs: disk.fs(), clock: new DiskClock(disk) })
  const account = store.account(user)
  await account.ensure()
  const inbox = await account.open('INBOX')
  await deliverAll(inbox, [{ text: 'm1', origin: 'o-m1' }, { text: 'm2' }, { text: expungedText }])
  await inbox.expunge(uids(3), 'client')
  for (const name of mailboxes) {
    await account.create(name)
    await deliver(await account.open(name), `in ${name}`)
  }
  return disk
}

export const namesOn = (disk: MemoryDisk) => uniqueNamesIn(disk.signature())

/** Runs these steps, one after another, as one process. */
export function works(steps: readonly Step[]): Work {
  return async (actor) => {
    const open = new Map<string, Mailbox>()
    for (const name of new Set(['INBOX', ...steps.flatMap((step) => step.opens)])) {
      const mailbox = await actor.account.open(name)
      open.set(name, mailbox)
      actor.ledger.made.add(name)
      await actor.ledger.look(mailbox)
    }
    const process: Process = { ...actor, open: (name) => open.get(name)! }
    await actor.ready()
    for (const step of steps) await attempt(step, process)
    await actor.finished()
    for (const mailbox of open.values())
      try {
        await mailbox.refresh()
        await actor.ledger.look(mailbox)
      } catch (error) {
        // Whoever had it open under a name that it has no more opens it again.
        if (!isGone(error) || !actor.ledger.leaving.has(mailbox.name)) throw error
      }
  }
}

async function attempt(step: Step, process: Process): Promise<void> {
  try {
    await step.run(process)
  } catch (error) {
    if (step.mayFail !== true || !isGone(error)) throw error
  }
}

/** Nothing was promised: it is gone, or the store can't tell since it is moving. */
function isGone(error: unknown): boolean {
  if (!(error instanceof StoreError)) return false
  if (error.kind === 'unavailable') return error.message.endsWith('at the same moment; try again')
  return ['not-found', 'already-exists', 'expunged'].includes(error.kind)
}

function noteDelivered({ ledger }: Actor, mailbox: Mailbox, uid: Uid, text: string, origin?: string): void {
  const key = keyOf(mailbox, uid)
  if (ledger.delivered.has(key)) ledger.faults.push(`${key} was given twice`)
  ledger.delivered.set(key, { text, origin })
}

async function expungeNoted({ ledger }: Actor, mailbox: Mailbox, values: readonly Uid[]): Promise<void> {
  const keys = values.map((uid) => keyOf(mailbox, uid))
  for (const key of keys) ledger.expunging.add(key)
  await mailbox.expunge(values, 'client')
  for (const key of keys) ledger.expunged.set(key, mailbox.highestModSeq)
}

export function delivers(text: string, origin?: string, into = 'INBOX'): Step {
  return {
    name: `deliver ${text}${into === 'INBOX' ? '' : ` to ${into}`}`,
    opens: [into],
    mayFail: into !== 'INBOX',
    run: async (process) => {
      const mailbox = process.open(into)
      const own = origin === undefined ? `${text} of ${process.name}` : text
      const delivered = await deliver(mailbox, own, origin === undefined ? {} : { origin })
      if ('uid' in delivered) noteDelivered(process, mailbox, delivered.uid, own, origin)
      else if (origin === undefined) process.ledger.faults.push(`${own} was not stored: ${JSON.stringify(delivered)}`)
    },
  }
}

/** What several hand over as the same message: it is stored once. */
export const handsOver: Step = {
  name: 'hand over',
  opens: [],
  run: async (process) => {
    const inbox = process.open('INBOX')
    const text = `trace of ${process.name}${handedText}`
    await using shared = await share(process.store, text)
    const delivered = await deliverShared(inbox, shared, 'handed')
    if ('uid' in delivered) noteDelivered(process, inbox, delivered.uid, text)
    else if (!('repeatOf' in delivered) || delivered.repeatOf >= inbox.uidNext)
      process.ledger.faults.push(`what was handed over became ${JSON.stringify(delivered)}`)
  },
}

/** UIDs that another server gave, and a message that comes with one of them. */
export const takesGivenUids: Step = {
  name: 'deliver UID 7 of up to 9',
  opens: [],
  run: async (process) => {
    const { account, ledger, name } = process
    const inbox = process.open('INBOX')
    const { uidValidity } = inbox
    const uidNext = 10 as Uid
    if (!(await account.adoptUids('INBOX', { uidValidity, uidNext }))) ledger.faults.push('UIDs were not kept free')
    ledger.keptBelow.set(boxOf(inbox), uidNext)
    const text = `given of ${name}`
    const delivered = await deliver(inbox, text, { uid: 7 as Uid })
    if (!('uid' in delivered)) return void ledger.faults.push(`${text} was not stored`)
    noteDelivered(process, inbox, delivered.uid, text)
    if (delivered.uid !== 7 && delivered.uid < uidNext) ledger.faults.push(`${text} got UID ${delivered.uid}`)
  },
}

export function expunges(...values: number[]): Step {
  return {
    name: `expunge ${values.join()}`,
    opens: [],
    run: (process) => expungeNoted(process, process.open('INBOX'), uids(...values)),
  }
}

/** The message that was expunged before. */
export const undeletes: Step = {
  name: 'undelete 3',
  opens: [],
  run: async (process) => {
    const inbox = process.open('INBOX')
    const { pairs } = await inbox.undelete(uids(3))
    for (const [source, copy] of pairs) {
      process.ledger.noteBroughtBack(keyOf(inbox, source))
      noteDelivered(process, inbox, copy, expungedText)
    }
  },
}

export function flags(value: number): Step {
  return {
    name: `flag ${value}`,
    opens: [],
    run: async ({ ledger, name, open }) => {
      const inbox = open('INBOX')
      const was = inbox.byUid(value as Uid)
      await inbox.changeFlags({ uids: uids(value), mode: 'add', flags: [name] })
      const key = keyOf(inbox, value)
      if (was !== undefined) ledger.flagged.set(key, (ledger.flagged.get(key) ?? new Set()).add(name))
    },
  }
}

/** Changed only when nobody has changed it before. */
export function flagsUnchanged(value: number): Step {
  return {
    name: `flag ${value} unless changed`,
    opens: [],
    run: async ({ ledger, name, open }) => {
      const inbox = open('INBOX')
      const was = inbox.byUid(value as Uid)
      if (was === undefined) return
      // A keyword that is not there yet: the change makes a difference.
      const flags = [`${name}-${was.modSeq}`]
      const change = { uids: uids(value), mode: 'add', flags, unchangedSince: was.modSeq } as const
      const { modified } = await inbox.changeFlags(change)
      const is = inbox.byUid(value as Uid)
      if (modified.length === 0 && is !== undefined) ledger.noteConditional(inbox, was.uid, was.modSeq)
    },
  }
}

export function copies(value: number, to: string): Step {
  return {
    name: `copy ${value} to ${to}`,
    opens: [to],
    mayFail: true,
    run: async (process) => {
      const inbox = process.open('INBOX')
      const target = process.open(to)
      const { pairs } = await inbox.copyTo(uids(value), target)
      for (const [source, copy] of pairs)
        noteDelivered(process, target, copy, process.ledger.shown.get(keyOf(inbox, source)) ?? '')
    },
  }
}

export function moves(value: number, to: string): Step {
  return {
    name: `move ${value} to ${to}`,
    opens: [to],
    mayFail: true,
    run: async (process) => {
      const inbox = process.open('INBOX')
      const target = process.open(to)
      const key = keyOf(inbox, value)
      process.ledger.expunging.add(key)
      const { pairs } = await inbox.moveTo(uids(value), target)
      if (pairs.length > 0) process.ledger.expunged.set(key, inbox.highestModSeq)
      for (const [, copy] of pairs) noteDelivered(process, target, copy, process.ledger.shown.get(key) ?? '')
    },
  }
}

export const claimsRecent: Step = {
  name: 'claim \\Recent',
  opens: [],
  run: async ({ ledger, open }) => {
    const inbox = open('INBOX')
    const { after, upTo } = await inbox.claimRecent()
    ledger.noteRecent(inbox, after, upTo)
  },
}

export function creates(name: string): Step {
  return {
    name: `create ${name}`,
    opens: [],
    mayFail: true,
    run: async ({ account, ledger }) => {
      await account.create(name)
      ledger.made.add(name)
    },
  }
}

export function removes(name: string): Step {
  return {
    name: `remove ${name}`,
    opens: [name],
    mayFail: true,
    run: async ({ account, ledger, open }) => {
      const { id } = open(name)
      ledger.leaving.add(name)
      ledger.removing.add(id)
      await account.remove(name)
      ledger.removed.add(id)
    },
  }
}

export function renames(from: string, to: string): Step {
  return {
    name: `rename ${from} to ${to}`,
    opens: [],
    mayFail: true,
    run: async ({ account, ledger }) => {
      ledger.leaving.add(from)
      for (const name of ledger.made) if (name.startsWith(`${from}/`)) ledger.leaving.add(name)
      await account.rename(from, to)
    },
  }
}

export const subscribes: Step = {
  name: 'subscribe',
  opens: [],
  run: async ({ account, ledger, name }) => {
    await account.subscribe(name)
    ledger.subscribed.add(name)
  },
}

export const puts: Step = {
  name: 'put',
  opens: [],
  run: async ({ account, ledger, name }) => {
    await account.put({ [name]: name })
    ledger.values.set(name, name)
  },
}

export const refreshes: Step = {
  name: 'refresh',
  opens: [],
  run: async ({ ledger, open }) => {
    await open('INBOX').refresh()
    await ledger.look(open('INBOX'))
  },
}

/** As a process that begins only now. */
export const opensAnew: Step = {
  name: 'open',
  opens: [],
  run: async ({ account, ledger, open }) => {
    const mailbox = await account.open('INBOX')
    if (boxOf(mailbox) !== boxOf(open('INBOX'))) ledger.faults.push('INBOX is another mailbox')
    await ledger.look(mailbox)
  },
}
