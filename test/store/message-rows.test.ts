import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { Uid } from '#src/base/ids.ts'
import type { Operation } from '#src/store/change-set.ts'
import { MailboxState } from '#src/store/mailbox-state.ts'
import { operations } from '#src/store/operations.ts'
import { addition, applyEntry, freshState, imageOctets, reloaded } from './mailbox-columns.ts'

const digest = createHash('sha256').update('octets').digest('base64url')
const hash = createHash('sha256').update('an origin').digest('base64url')

/** Names that the store writes, and all others that it takes for messages' files. */
const names = [
  `1700000000,S=2048,O=,abcdefghijklmnop1,${digest}`,
  `0,S=0,O=,a,${digest}`,
  `-1,S=1,O=,abcdefghijklmnopzzzzzz,${digest}`,
  `-999999999999999,S=999999999999999,O=,abcdefghijklmnopzzzzzzz,${digest}`,
  `4294967295,S=4294967295,O=,abcdefghijklmnop0,${digest}`,
  `4294967296,S=4294967296,O=,abcdefghijklmnop01,${digest}`,
  `999999999999999,S=5000000000,O=,abcdefghijklmnop,${digest}`,
  `007,S=0012,O=,00000000000000000000000000000000,${digest}`,
  `-0,S=1,O=,zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz,${digest}`,
  `1700000000,S=1,O=pop.example.net%3Alena%3A0000000a5f3e2b1c,abcdefghijklmnop2,${digest}`,
  `1700000000,S=1,O=b%C3%BCro%2f%41,abcdefghijklmnop3,${digest}`,
  `1700000000,S=1,O=a%2Fb%2fc@d+e=f~g!h,abcdefghijklmnop4,${digest}`,
  `1700000000,S=1,O=^${hash},abcdefghijklmnop5,${digest}`,
  // The last two bits say nothing.
  `1700000000,S=1,O=,abcdefghijklmnop6,${'A'.repeat(42)}B`,
]

it('a file name is told as it was written, octet for octet', async () => {
  const state = freshState()
  const adds = names.map((file, at): Operation => ['add', file, [], null, null, at + 1])
  applyEntry(state, 2, adds)
  for (const each of [state, await reloaded(state)]) {
    expect(Array.from(each.messages, ({ file }) => file)).toEqual(names)
    expect(Array.from(each.messages, ({ digest: told }) => told)).toEqual(names.map((name) => name.slice(-43)))
    for (const [at, name] of names.entries()) {
      const [, date, size] = /^(.*),S=(.*),O=/.exec(name)!
      const record = each.messages.at(at)!
      expect([record.internalDate + 0, record.sizeOctets], name).toEqual([Number(date) + 0, Number(size)])
    }
  }
  applyEntry(state, 3, [operations.expunge('client', [2, 3, 4, 8, 12] as Uid[], 5_000_000_000)])
  const gone = [1, 2, 3, 7, 11]
  for (const each of [state, await reloaded(state)]) {
    expect(Array.from(each.expunged, ({ message }) => message.file)).toEqual(gone.map((at) => names[at]))
    expect(Array.from(each.expunged, ({ expungedAt }) => expungedAt)).toEqual(gone.map(() => 5_000_000_000))
    expect(Array.from(each.messages, ({ file }) => file)).toEqual(names.filter((_, at) => !gone.includes(at)))
  }
})

it('numbers beyond 32 bits are kept in some rows and in all', async () => {
  const state = freshState()
  const late = 2 ** 40
  applyEntry(
    state,
    2,
    Array.from({ length: 2000 }, (_, at) => operations.add(addition(at + 1), 0)),
  )
  applyEntry(state, late, [operations.flags('add', ['\\Seen'], [1500 as Uid]), operations.add(addition(0xfffffff0), 0)])
  for (const each of [state, await reloaded(state)]) {
    const told = (uid: number) => each.byUid(uid as Uid)!
    expect([1499, 1500, 1501, 0xfffffff0].map((uid) => told(uid).modSeq)).toEqual([2, late, 2, late])
    expect(told(0xfffffff0).addedModSeq).toBe(late)
    expect(told(1500).addedModSeq).toBe(2)
    expect(each.uidNext).toBe(0xfffffff1)
  }
})

it('an origin that is learnt later is told from then on; who looked before sees what was', async () => {
  const state = freshState()
  const origin = `pop://joe@example.net/u:${'long'.repeat(60)}`
  const named = addition(2, { origin })
  applyEntry(state, 2, [
    operations.add(addition(1), 0),
    // As a log that was made anew from the names of files has it.
    ['add', named.file, ['\\Seen'], null, null, 2],
    operations.add(addition(3), 0),
  ])
  const before = state.byUid(2 as Uid)!
  expect([before.origin, state.isHashed(origin), state.byOrigin(origin)]).toEqual([
    undefined,
    true,
    { present: true, uid: 2 },
  ])
  const loaded = await reloaded(state)
  for (const each of [state, loaded]) {
    expect(each.isHashed(origin)).toBe(true)
    applyEntry(each, 3, [operations.origin(origin, 'long'.repeat(60))])
    const { origin: told, uidl, file, flags, modSeq } = each.byUid(2 as Uid)!
    expect([told, uidl, file, [...flags], modSeq]).toEqual([origin, 'long'.repeat(60), named.file, ['\\Seen'], 2])
    expect([each.isHashed(origin), each.byOrigin(origin)]).toEqual([false, { present: true, uid: 2 }])
    expect(each.messages.length).toBe(3)
  }
  expect(before.origin).toBeUndefined()
})

it('what is left of many chunks is put together', () => {
  const state = freshState()
  const uids = Array.from({ length: 20_000 }, (_, at) => (at + 1) as Uid)
  applyEntry(
    state,
    2,
    uids.map((uid) => operations.add(addition(uid), 0)),
  )
  const kept = uids.filter((uid) => uid % 100 === 0)
  applyEntry(state, 3, [
    operations.expunge(
      'client',
      uids.filter((uid) => uid % 100 !== 0),
      1,
    ),
  ])
  expect(Array.from(state.messages, ({ uid }) => uid)).toEqual(kept)
  expect(state.messages.chunks.length).toBe(1)
})

it('RFC 8514: entries and images of earlier versions have no save dates, and are read', async () => {
  const state = freshState()
  const { file } = addition(1)
  applyEntry(state, 2, [['add', file, ['\\Seen'], null, null, 1], operations.add(addition(2), 1_800_000_000)])
  const dates = ({ messages }: MailboxState) => [messages.savedDateAt(0), messages.savedDateAt(1)]
  expect(dates(state)).toEqual([undefined, 1_800_000_000])
  expect(dates(await reloaded(state))).toEqual([undefined, 1_800_000_000])
  // As they were written: without the column at the end of a chunk, and the bit that tells of it.
  const image = imageOctets(state)
  let pieces: Buffer[] = []
  for (let at = 0; at < image.length; ) {
    const [kind, length] = [image.readUInt32LE(at), image.readUInt32LE(at + 4)]
    const body = Buffer.from(image.subarray(at + 8, at + 8 + length))
    at += 8 + Math.ceil(length / 8) * 8
    if (kind === 5) body.writeUInt32LE(body.readUInt32LE(4) & 0xffff, 4)
    const old = kind === 5 ? body.subarray(0, length - 8) : body
    const head = Buffer.alloc(8)
    head.writeUInt32LE(kind, 0)
    head.writeUInt32LE(old.length, 4)
    pieces = [...pieces, head, old, Buffer.alloc((8 - (old.length % 8)) % 8)]
  }
  const earlier = new MailboxState(systemClock)
  await earlier.load(Buffer.from(new Uint8Array(Buffer.concat(pieces)).buffer))
  expect(dates(earlier)).toEqual([undefined, undefined])
  expect(earlier.byUid(2 as Uid)!.file).toBe(addition(2).file)
  applyEntry(earlier, 3, [operations.add(addition(3), 1_900_000_000)])
  expect([earlier.messages.savedDateAt(1), earlier.messages.savedDateAt(2)]).toEqual([undefined, 1_900_000_000])
})
