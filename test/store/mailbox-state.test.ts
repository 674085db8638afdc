import fc from 'fast-check'
import { expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { ModSeq, Uid } from '#src/base/ids.ts'
import type { Operation } from '#src/store/change-set.ts'
import { DamagedEntry } from '#src/store/change-set.ts'
import { MailboxState } from '#src/store/mailbox-state.ts'
import { operations } from '#src/store/operations.ts'
import type { ExpungeCause, MessageList, MessageRecord } from '#src/store/types.ts'
import { addition, applyEntry, freshState, imageOctets, reloaded } from './mailbox-columns.ts'

/** A message as plain as can be. */
interface Row {
  uid: number
  file: string
  flags: string[]
  modSeq: number
  addedModSeq: number
  origin: string | undefined
  uidl: string | undefined
}

class Model {
  rows: Row[] = []
  expunged: (Row & { at: number; cause: ExpungeCause })[] = []
  departed = new Map<string, { uid: number; cause: ExpungeCause; modSeq: number }>()
  uidNext = 1
  recentAfter = 0
  uidValidity = freshState().uidValidity
  keptBelow = 1
  /** UIDs of expunged messages by the number of the entry. */
  readonly left: [uid: number, modSeq: number][] = []

  add(row: Omit<Row, 'uid' | 'modSeq' | 'addedModSeq'>, modSeq: number): void {
    const { origin } = row
    if (origin !== undefined && (this.departed.has(origin) || this.rows.some((other) => other.origin === origin)))
      return
    this.rows.push({ ...row, uid: this.uidNext, modSeq, addedModSeq: modSeq })
    this.uidNext += 1
  }

  adopt(uidValidity: number, uidNext: number): void {
    if (this.uidNext > 1 && uidValidity !== this.uidValidity) return
    this.uidValidity = uidValidity
    this.keptBelow = Math.max(this.keptBelow, uidNext)
  }

  change(uids: ReadonlySet<number>, mode: 'set' | 'add' | 'remove', flags: readonly string[], modSeq: number): void {
    this.rows = this.rows.map((row) => {
      if (!uids.has(row.uid)) return row
      const kept = mode === 'set' ? [] : row.flags.filter((flag) => !flags.includes(flag))
      const after = [...kept, ...(mode === 'remove' ? [] : flags)].sort()
      return `${after}` === `${row.flags}` ? row : { ...row, flags: after, modSeq }
    })
  }

  giveOrigins(given: readonly (readonly [uid: number, origin: string])[], modSeq: number): void {
    const known = new Set(this.rows.map(({ origin }) => origin))
    const positions = new Map(this.rows.map(({ uid }, at) => [uid, at]))
    for (const [uid, origin] of given) {
      if (uid >= this.uidNext || this.departed.has(origin) || known.has(origin)) continue
      const at = positions.get(uid)
      if (at === undefined) this.departed.set(origin, { uid, cause: 'client', modSeq })
      else this.rows[at] = { ...this.rows[at]!, origin }
      known.add(origin)
    }
  }

  expunge(uids: ReadonlySet<number>, cause: ExpungeCause, at: number, modSeq: number): void {
    for (const row of this.rows.filter(({ uid }) => uids.has(uid))) {
      this.expunged.push({ ...row, at, cause })
      this.left.push([row.uid, modSeq])
      if (row.origin !== undefined) this.departed.set(row.origin, { uid: row.uid, cause, modSeq })
    }
    this.rows = this.rows.filter(({ uid }) => !uids.has(uid))
  }
}

function plain(record: MessageRecord & { readonly addedModSeq?: number }): Row {
  const { uid, file, modSeq, addedModSeq, origin, uidl } = record
  return { uid, file, flags: [...record.flags].sort(), modSeq, addedModSeq: addedModSeq!, origin, uidl }
}

/** Of what the entry of this number adds. */
const noted = (number: number) => 1_700_000_000 + number

const rowsOf = (list: MessageList): Row[] => Array.from(list, plain)

function expectSame(state: MailboxState, model: Model): void {
  const { messages } = state
  expect(rowsOf(messages)).toEqual(model.rows)
  expect(messages.length).toBe(model.rows.length)
  for (const [position, row] of model.rows.entries()) {
    if (messages.uidAt(position) !== row.uid || messages.positionOf(row.uid as Uid) !== position)
      expect.fail(`UID ${row.uid} is not found at ${position}`)
    // Not one after another, which is easier.
    const far = (position * 7919) % model.rows.length
    if (messages.modSeqAt(far) !== model.rows[far]!.modSeq) expect.fail(`MODSEQ at ${far}`)
    if (messages.savedDateAt(far) !== noted(model.rows[far]!.addedModSeq)) expect.fail(`save date at ${far}`)
    if (row.origin !== undefined && state.byOrigin(row.origin)?.uid !== row.uid) expect.fail(`origin ${row.origin}`)
  }
  expect(messages.positionOf(state.uidNext)).toBe(model.rows.length)
  expect(messages.at(model.rows.length)).toBeUndefined()
  expect(messages.at(-1)).toBeUndefined()
  expect([state.uidNext, state.recentAfter]).toEqual([model.uidNext, model.recentAfter])
  expect([state.uidValidity, state.keptBelow]).toEqual([model.uidValidity, model.keptBelow])
  const expunged = Array.from(state.expunged, ({ message, expungedAt: at, cause }) => ({
    ...plain(message),
    at,
    cause,
  }))
  expect(expunged).toEqual(model.expunged)
  const octets = (rows: readonly Row[]) => rows.reduce((sum, { file }) => sum + Number(/S=([0-9]+)/.exec(file)![1]), 0)
  expect([messages.length, state.expunged.length]).toEqual([model.rows.length, model.expunged.length])
  expect(state.expunged.sizeOctets).toBe(octets(model.expunged))
  expect(messages.totals()).toEqual({
    unseen: model.rows.filter(({ flags }) => !flags.includes('\\Seen')).length,
    deleted: model.rows.filter(({ flags }) => flags.includes('\\Deleted')).length,
    sizeOctets: octets(model.rows),
  })
  expect(
    new Map([...state.departed].map(([origin, { uid, cause, modSeq }]) => [origin, { uid, cause, modSeq }])),
  ).toEqual(model.departed)
}

/** What changed is told as the rows tell it, and all that left, and nothing that is there. */
function expectDelta(state: MailboxState, model: Model, since: number, number: number): void {
  const delta = state.delta(since as ModSeq, number as ModSeq)
  const expunged = [...delta.expunged()]
  const uids = (is: (row: Row) => boolean) => model.rows.filter(is).map(({ uid }) => uid)
  expect([...delta.added()]).toEqual(uids((row) => row.addedModSeq > since))
  expect([...delta.updated()]).toEqual(uids((row) => row.addedModSeq <= since && row.modSeq > since))
  const isTold = (uid: number) => expunged.some(({ first, last }) => first <= uid && uid <= last)
  expect(model.left.filter(([uid, modSeq]) => modSeq > since && !isTold(uid))).toEqual([])
  expect(expunged.filter(({ first, last }) => model.rows.some(({ uid }) => first <= uid && uid <= last))).toEqual([])
}

/** Some UIDs: every `step`th from a part of the list on. */
const someUids = fc.record({
  from: fc.double({ min: 0, max: 1, noNaN: true }),
  step: fc.integer({ min: 1, max: 4 }),
  count: fc.integer({ min: 1, max: 900 }),
})
type SomeUids = { readonly from: number; readonly step: number; readonly count: number }
const pick = ({ from, step, count }: SomeUids, uids: readonly number[]): number[] =>
  uids.filter((_, at) => at >= from * uids.length && at % step === 0).slice(0, count)

const someFlags = fc.uniqueArray(fc.constantFrom('\\Seen', '\\Deleted', '$Work', 'todo'), { maxLength: 3 })
const action = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      word: fc.constant('add' as const),
      count: fc.integer({ min: 1, max: 700 }),
      origins: fc.constantFrom('none', 'pop', 'imap', 'mixed'),
      flags: someFlags,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      word: fc.constant('flags' as const),
      uids: someUids,
      mode: fc.constantFrom('set' as const, 'add' as const, 'remove' as const),
      flags: someFlags,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      word: fc.constant('expunge' as const),
      uids: someUids,
      cause: fc.constantFrom('client' as const, 'backend' as const, 'window' as const),
    }),
  },
  fc.record({ word: fc.constant('purge' as const), uids: someUids }),
  fc.record({ word: fc.constant('forget' as const), uids: someUids }),
  fc.record({ word: fc.constant('recent' as const) }),
  fc.record({ word: fc.constant('uidnext' as const), by: fc.integer({ min: -5, max: 50 }) }),
  fc.record({ word: fc.constant('adopt' as const), isOther: fc.boolean(), uidNext: fc.integer({ min: 1, max: 2000 }) }),
  fc.record({ word: fc.constant('origins' as const), uids: someUids, again: fc.boolean() }),
)
const entries = fc.array(
  fc.record({ actions: fc.array(action, { minLength: 1, maxLength: 3 }), reload: fc.boolean() }),
  { minLength: 1, maxLength: 14 },
)

function originOf(kind: string, at: number): { origin: string | undefined; uidl: string | undefined } {
  const uidl = (at * 7919).toString(16).padStart(16, '0')
  const kinds = [
    { origin: undefined, uidl: undefined },
    { origin: `pop://lena@pop.example.net/u:${uidl}`, uidl },
    { origin: `imap:mail.example.net:Büro/2026:77:${at}`, uidl: undefined },
    { origin: `pop://joe@example.net/d:${at}`, uidl: `other ${at}` },
    // Too long for a file name.
    { origin: `pop://joe@example.net/u:${'x'.repeat(200)}${at}`, uidl: `${'x'.repeat(100)}${at}` },
    { origin: `${at}`, uidl: `${at}` },
    { origin: undefined, uidl: `lonely ${at}` },
  ]
  if (kind === 'none') return kinds[0]!
  if (kind === 'pop') return kinds[1]!
  return kind === 'imap' ? kinds[2]! : kinds[at % kinds.length]!
}

it('a mailbox in columns is what a plain list is, whatever is done to it', async () => {
  await fc.assert(
    fc.asyncProperty(entries, async (all) => {
      let state = freshState()
      const model = new Model()
      let number = 1
      const held: {
        readonly list: MessageList
        readonly record: MessageRecord | undefined
        readonly rows: readonly Row[]
      }[] = []
      for (const { actions, reload } of all) {
        number += 1
        const entry: Operation[] = []
        const seen = rowsOf(state.messages)
        held.push({ list: state.messages, record: state.messages.at(seen.length >> 1), rows: seen })
        for (const one of actions) {
          const live = model.rows.map(({ uid }) => uid)
          if (one.word === 'add')
            for (let at = 0; at < one.count; at += 1) {
              const { origin, uidl } = originOf(one.origins, model.uidNext + (at % 50 === 49 ? -1 : 0))
              const add = addition(model.uidNext, { origin, uidl, flags: one.flags })
              entry.push(operations.add(add, noted(number)))
              model.add({ file: add.file, flags: [...one.flags].sort(), origin, uidl }, number)
            }
          else if (one.word === 'flags') {
            const uids = pick(one.uids, live)
            entry.push(operations.flags(one.mode, one.flags, uids as Uid[]))
            model.change(new Set(uids), one.mode, one.flags, number)
          } else if (one.word === 'expunge') {
            const uids = pick(one.uids, live)
            entry.push(operations.expunge(one.cause, uids as Uid[], number))
            model.expunge(new Set(uids), one.cause, number, number)
          } else if (one.word === 'purge') {
            const uids = pick(
              one.uids,
              model.expunged.map(({ uid }) => uid).sort((a, b) => a - b),
            )
            entry.push(operations.purge(uids as Uid[]))
            model.expunged = model.expunged.filter(({ uid }) => !uids.includes(uid))
          } else if (one.word === 'forget') {
            const origins = [...model.departed.keys()].slice(0, one.uids.count)
            entry.push(operations.forget(origins))
            for (const origin of origins) model.departed.delete(origin)
          } else if (one.word === 'uidnext') {
            const uidNext = model.uidNext + one.by
            entry.push(operations.uidNext(uidNext as Uid))
            model.uidNext = Math.max(model.uidNext, uidNext)
          } else if (one.word === 'adopt') {
            const uidValidity = one.isOther ? 7 : model.uidValidity
            entry.push(operations.adopt({ uidValidity, uidNext: one.uidNext as Uid }))
            model.adopt(uidValidity, one.uidNext)
          } else if (one.word === 'origins') {
            // Also to messages that left, that are not there yet, and that a known origin belongs to.
            const known = model.rows.find(({ origin }) => origin !== undefined)?.origin
            const uids = pick(one.uids, [...Array(model.uidNext + 2).keys()].slice(1))
            const given = uids.map((uid): [Uid, string] => [uid as Uid, `imap://lena@example.net/${number}/${uid}`])
            if (one.again && known !== undefined && given.length > 1) given.push([given[1]![0], known])
            entry.push(operations.origins(given))
            model.giveOrigins(given, number)
          } else {
            entry.push(operations.recent((model.uidNext - 1) as Uid))
            model.recentAfter = model.uidNext - 1
          }
        }
        // Nothing of it is seen before it is complete.
        const outcomes: Operation[] = entry
        const before = [state.uidNext, state.recentAfter, state.messages, state.expunged, state.keywords]
        for (const operation of outcomes) {
          const steps = state.apply(operation, number)
          while (steps.next().done !== true);
        }
        expect([state.uidNext, state.recentAfter, state.messages, state.expunged, state.keywords]).toEqual(before)
        state.applied(number)
        expectSame(state, model)
        expectDelta(state, model, number - 1, number)
        expectDelta(state, model, number >> 1, number)
        if (!reload) continue
        state = await reloaded(state)
        expectSame(state, model)
        expectDelta(state, model, number >> 1, number)
      }
      for (const { list, record, rows } of held) {
        expect(rowsOf(list)).toEqual(rows)
        expect(record === undefined ? undefined : plain(record)).toEqual(rows[rows.length >> 1])
      }
    }),
    { numRuns: 40 },
  )
}, 120_000)

it('an image is of the moment in which it was asked for', async () => {
  const state = freshState()
  applyEntry(
    state,
    2,
    Array.from({ length: 3000 }, (_, at) => operations.add(addition(at + 1), 0)),
  )
  const rows = rowsOf(state.messages)
  const pieces = state.image()[Symbol.iterator]()
  const taken = [pieces.next().value!]
  applyEntry(state, 3, [
    operations.flags('add', ['$Late'], [1 as Uid, 2999 as Uid]),
    operations.expunge('client', [5 as Uid], 9),
    operations.add(addition(3001), 0),
  ])
  for (let piece = pieces.next(); piece.done !== true; piece = pieces.next()) taken.push(piece.value)
  const other = new MailboxState(systemClock)
  await other.load(Buffer.from(new Uint8Array(Buffer.concat(taken)).buffer))
  expect(rowsOf(other.messages)).toEqual(rows)
  expect([other.uidNext, other.expunged.length, [...other.keywords]]).toEqual([3001, 0, []])
})

it('octets that are no image are damage', async () => {
  const state = freshState()
  applyEntry(state, 2, [operations.add(addition(1), 0), operations.add(addition(2), 0)])
  const octets = imageOctets(state)
  const load = (image: Buffer) => new MailboxState(systemClock).load(image)
  for (const length of [0, 4, 8, 40, octets.length - 8]) {
    const cut = Buffer.from(new ArrayBuffer(length))
    octets.copy(cut)
    await expect(load(cut), `${length} octets`).rejects.toThrow(DamagedEntry)
  }
  const nonsense = Buffer.from(new ArrayBuffer(64))
  nonsense.writeUInt32LE(1, 0)
  nonsense.writeUInt32LE(56, 4)
  await expect(load(nonsense)).rejects.toThrow(DamagedEntry)
  const later = Buffer.from(new ArrayBuffer(8))
  later.writeUInt32LE(99, 0)
  await expect(load(later)).rejects.toMatchObject({ kind: 'unavailable' })
})
