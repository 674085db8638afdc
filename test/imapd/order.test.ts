/** SORT and THREAD of very many messages, and of ones that mean ill. RFC 5256 §3 */
import { describe, expect, it } from 'vitest'
import type { Uid } from '#src/base/ids.ts'
import { type Ordering, readColumns } from '#src/imapd/order.ts'
import { Slice } from '#src/imapd/slice.ts'
import { sortPositions } from '#src/imapd/sort.ts'
import { threadPositions } from '#src/imapd/thread.ts'
import { linkByReferences } from '#src/imapd/threading/links.ts'
import type { OrderKeys } from '#src/mime/order-keys.ts'
import { formatThreads } from '#src/proto/imap/thread.ts'
import type { ThreadAlgorithm } from '#src/proto/imap/thread-algorithm.ts'
import { blockUids } from '#src/store/block-files.ts'
import { KeyBlock, keyEntry } from '#src/store/key-block.ts'
import type { KeyedMessages, KeyRun } from '#src/store/types.ts'
import { mulberry32 } from '../support/random.ts'
import { watchTurns } from '../support/turns.ts'

const digest = 'A'.repeat(43)

/** What SORT and THREAD see of a mailbox with these messages, as it is when all keys are in memory. */
function viewOf(
  count: number,
  keysOf: (index: number) => Partial<OrderKeys['texts']> & { sentAt?: number; isReply?: boolean },
) {
  const blocks: KeyBlock[] = []
  for (let first = 0; first < count; first += blockUids) {
    const block = new KeyBlock((first + 1) as Uid)
    const uids = Array.from({ length: Math.min(blockUids, count - first) }, (_, index) => (first + index + 1) as Uid)
    const none = {
      subject: '',
      from: '',
      to: '',
      cc: '',
      displayFrom: '',
      displayTo: '',
      messageId: '',
      references: '',
    }
    const entries = uids.map((uid) => {
      const { sentAt, isReply = false, ...texts } = keysOf(uid - 1)
      return keyEntry(digest, { texts: { ...none, ...texts }, sentAt, isReply })
    })
    block.add(uids, entries)
    blocks.push(block)
  }
  async function* keys({ uids }: KeyedMessages): AsyncGenerator<KeyRun> {
    for (let start = 0; start < uids.length; start += blockUids)
      yield { start, end: Math.min(start + blockUids, uids.length), keys: blocks[start / blockUids]! }
  }
  const uidAt = (position: number) => (position + 1) as Uid
  const view = { uidAt, internalDateAt: (position: number) => position, mailbox: { keys } }
  const session = { view, connection: { signal: new AbortController().signal } } as unknown as Ordering
  return { session, positions: Array.from({ length: count }, (_, index) => index) }
}

const count = 100_000
/** CPU ms; a turn is 20 when nobody else is at work. */
const longestTurn = 50

describe(`${count} messages`, () => {
  const random = mulberry32(5)
  const numbers = Array.from({ length: count }, () => Math.floor(random() * count))
  const many = viewOf(count, (index) => ({
    subject: `TOPIC ${numbers[index]! % 5000}`,
    from: `SENDER ${numbers[index]! % 300}`,
    sentAt: numbers[index]!,
    isReply: index % 3 === 0,
    messageId: `${index}@x`,
    references:
      index < 20 ? '' : Array.from({ length: 5 }, (_, at) => `${Math.floor((index * (at + 1)) / 6)}@x`).join('\0'),
  }))

  it('are sorted without a stall', async () => {
    const turns = watchTurns()
    const criteria = [
      { key: 'FROM', reverse: false },
      { key: 'SUBJECT', reverse: true },
      { key: 'DATE', reverse: false },
    ] as const
    const { positions } = await sortPositions(many.session, many.positions, criteria)
    expect(turns.end()).toBeLessThan(longestTurn)
    const text = (index: number) => [`SENDER ${numbers[index]! % 300}`, `TOPIC ${numbers[index]! % 5000}`] as const
    const right = many.positions.toSorted((a, b) => {
      const [[fromA, topicA], [fromB, topicB]] = [text(a), text(b)]
      if (fromA !== fromB) return fromA < fromB ? -1 : 1
      if (topicA !== topicB) return topicA < topicB ? 1 : -1
      return numbers[a]! - numbers[b]!
    })
    expect(positions).toEqual(right)
  })

  it.each(['REFERENCES', 'REFS', 'ORDEREDSUBJECT'] as const)(
    'are threaded by %s without a stall',
    async (algorithm) => {
      const turns = watchTurns()
      const { forest } = await threadPositions(many.session, many.positions, algorithm)
      expect(turns.end()).toBeLessThan(longestTurn)
      const told = [...formatThreads(forest, (node) => (node < count ? node + 1 : undefined))].join('').match(/\d+/g)
      expect(told!.map(Number).sort((a, b) => a - b)).toEqual(many.positions.map((position) => position + 1))
    },
  )
})

describe('references that mean ill', () => {
  const threadsOf = async (
    size: number,
    algorithm: ThreadAlgorithm,
    references: (index: number) => readonly number[],
  ) => {
    const { session, positions } = viewOf(size, (index) => ({
      messageId: `${index}@x`,
      references: references(index)
        .map((to) => `${to}@x`)
        .join('\0'),
      sentAt: index,
    }))
    const turns = watchTurns()
    const { forest } = await threadPositions(session, positions, algorithm)
    const text = [...formatThreads(forest, (node) => (node < size ? node + 1 : undefined))].join('')
    expect(turns.end()).toBeLessThan(2 * longestTurn)
    return text
  }
  const size = 20_000
  const line = (first: number, last: number) =>
    Array.from({ length: Math.abs(last - first) + 1 }, (_, at) => (first < last ? first + at : first - at)).join(' ')

  it('a line of answers as long as the mailbox, in either order', async () => {
    expect(await threadsOf(size, 'REFERENCES', (index) => (index === 0 ? [] : [index - 1]))).toBe(
      `* THREAD (${line(1, size)})\r\n`,
    )
    expect(await threadsOf(size, 'REFS', (index) => (index === size - 1 ? [] : [index + 1]))).toBe(
      `* THREAD (${line(size, 1)})\r\n`,
    )
  })

  it('siblings inside of siblings, thousands deep', async () => {
    // 1 above 2 and 3, 2 above 4 and 5, 4 above 6 and 7 …
    const text = await threadsOf(9999, 'REFERENCES', (index) =>
      index < 3 ? (index === 0 ? [] : [0]) : [index - 2 - (index % 2 === 0 ? 1 : 0)],
    )
    let depth = 0
    let deepest = 0
    for (const char of text) {
      if (char === '(') deepest = Math.max(deepest, ++depth)
      if (char === ')') depth -= 1
    }
    expect([depth, deepest]).toEqual([0, 5000])
  })

  it('a ring', async () => {
    const text = await threadsOf(size, 'REFERENCES', (index) => [(index + 1) % size])
    expect(text.match(/\d+/g)).toHaveLength(size)
  })

  it('a message that names all others', async () => {
    const all = Array.from({ length: 500 }, (_, at) => at)
    expect(await threadsOf(500, 'REFS', (index) => (index % 2 === 0 ? all : all.toReversed()))).toMatch(/^\* THREAD \(/)
  })

  it('long lines that are hung below one another', async () => {
    const half = size / 2
    // The first half is one line; each of the second has a child and is put below its end.
    const text = await threadsOf(size, 'REFS', (index) =>
      index < half ? (index === 0 ? [] : [index - 1]) : index % 2 === 0 ? [index + 1] : [half - 1],
    )
    expect(text.match(/\d+/g)).toHaveLength(size)
  })
})

it('holds a bounded number of octets of texts, whatever the messages have', async () => {
  const count = 256
  const whole = { subject: 's'.repeat(100), references: `${'r\0'.repeat(500_000)}the last of the references` } as const
  const keys = {
    has: () => true,
    text: (_: Uid, text: keyof typeof whole) => whole[text],
    sentAt: () => 0,
    isReply: () => false,
  }
  const session = {
    view: {
      uidAt: (position: number) => position + 1,
      internalDateAt: () => 0,
      mailbox: {
        keys: async function* () {
          yield { start: 0, end: count, keys }
        },
      },
    },
    connection: { signal: new AbortController().signal },
  } as unknown as Ordering
  const positions = Array.from({ length: count }, (_, index) => index)
  const { texts } = await readColumns(session, positions, ['subject', 'references'], new Slice())
  const [subjects, references] = [texts.get('subject')!, texts.get('references')!]
  expect([subjects[0], references[0]]).toEqual([whole.subject, whole.references])
  expect(references.at(-1)).toBe('the last of the references')
  expect([...subjects, ...references].reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(
    128 * 1024 * 1024,
  )
})

it('makes a bounded number of dummies, and links what is there', async () => {
  const messages = {
    count: 3,
    ids: ['a', 'b', 'c'],
    references: ['x1\0x2\0x3\0x4', 'x5\0a', 'x6\0b\0x7'],
    subjects: ['', '', ''],
    isReply: new Uint8Array(3),
  }
  expect(await linkByReferences(messages, new Slice(), 3)).toEqual([5, 0, 1, -1, 3, 4])
})
