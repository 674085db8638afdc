/** SEARCH over messages that are long or many, and of a client that goes away. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import { findMatches, scopeOf } from '#src/imapd/search.ts'
import { View } from '#src/imapd/view.ts'
import type { PartialRange } from '#src/proto/imap/partial-range.ts'
import type { SearchKey } from '#src/proto/imap/search.ts'
import type { ReturnOptions } from '#src/proto/imap/search-return.ts'
import { deliverAll, freshInbox, tellingReads } from '#test/store/support.ts'
import { deliver, serve } from './served.ts'

const lines = (octets: number, line: string) => `${line}\r\n`.repeat(Math.ceil(octets / (line.length + 2)))

it('finds texts of long messages, across what is read at once, and again', async () => {
  const filler = lines(262_144 - 20, 'x'.repeat(75))
  const base64 = Buffer.from(`${lines(300_000, 'anything at all')}Schluß der Ansage`, 'latin1').toString('base64')
  const long = [
    `Subject: one\r\nX-Odd: Value\r\n\r\n${filler}a needle that stands where blocks meet\r\n${filler}the end\r\n`,
    // Groups of four go on in the next line.
    `Subject: two\r\nX-Odd: other\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: base64\r\n\r\n${base64.replace(/.{74}/g, '$&\r\n')}\r\n`,
    'Subject: needle that stands\r\nX-Odd: value\r\n\r\nshort\r\n',
    // One line that is longer than a block.
    `Subject: four\r\n\r\n${'y'.repeat(262_144 - 5)}across a block${'y'.repeat(300_000)}\r\n`,
  ]
  const served = await serve()
  await deliver(served.elsewhere, 'INBOX', [...long, ...Array<string>(300).fill('Subject: many\r\n\r\nof them\r\n')])
  const peer = await served.enter()
  await peer.command('s', 'SELECT INBOX')
  for (const turn of ['first', 'from the cache'])
    for (const [keys, expected] of [
      ['TEXT "needle that stands"', '1 3'],
      ['BODY "needle that stands where blocks meet"', '1'],
      ['NOT TEXT "of them"', '1 2 3 4'],
      ['BODY "across a block"', '4'],
      ['BODY "schluss der ansage"', '2'],
      ['HEADER X-Odd value', '1 3'],
      ['HEADER X-Odd ""', '1 2 3'],
      ['HEADER X-Odd other BODY anything', '2'],
      ['OR SUBJECT two BODY "the end"', '1 2'],
      ['304 BODY them', '304'],
      ['BODY subject', ''],
      ['TEXT "subject: many" 300:*', '300 301 302 303 304'],
    ] as const)
      expect([turn, keys, (await peer.command('q', `SEARCH ${keys}`))[0]]).toEqual([
        turn,
        keys,
        `* SEARCH ${expected}`.trimEnd(),
      ])
})

// The texts of 256 messages are read together.
it.each([
  [50, 256],
  [300, 512],
])('ends when the client goes away at message %i, before all were read', async (at, most) => {
  const gone = new AbortController()
  let opened = 0
  const { inbox } = await freshInbox({
    fs: tellingReads((path) => {
      if (path.includes('/msg/')) opened += 1
      if (opened === at) gone.abort(new Error('gone'))
    }),
  })
  await deliverAll(
    inbox,
    Array.from({ length: 600 }, (_, index) => ({ text: `Subject: ${index}\r\n\r\nbody\r\n` })),
  )
  const session = {
    view: await View.open(inbox, { readOnly: true }),
    services: { clock: systemClock },
    connection: { signal: gone.signal },
  } as unknown as Parameters<typeof findMatches>[0]
  const searched = findMatches(session, { key: 'BODY', value: Buffer.from('nowhere') }, undefined)
  await expect(searched).rejects.toThrow('gone')
  expect(opened).toBeGreaterThanOrEqual(at)
  expect(opened).toBeLessThanOrEqual(most)
})

it('refuses more texts than it looks for at once', async () => {
  const served = await serve()
  await deliver(served.elsewhere, 'INBOX', ['Subject: one\r\n\r\nword77 word300\r\n'])
  const peer = await served.enter()
  await peer.command('s', 'SELECT INBOX')
  const keys = (count: number) => Array.from({ length: count }, (_, at) => `OR BODY word${at + 1}`).join(' ')
  expect((await peer.command('a', `SEARCH ${keys(299)} BODY word300`))[0]).toBe('* SEARCH 1')
  expect((await peer.command('b', `SEARCH ${keys(300)} BODY word301`))[0]).toContain('b NO [LIMIT] At most 300')
})

it('looks for no more matches than are told of', async () => {
  let opened = 0
  const { inbox } = await freshInbox({
    fs: tellingReads((path) => {
      if (path.includes('/msg/')) opened += 1
    }),
  })
  await deliverAll(
    inbox,
    Array.from({ length: 1000 }, (_, index) => ({ text: `Subject: ${index}\r\n\r\nbody ${index % 10}\r\n` })),
  )
  const view = await View.open(inbox, { readOnly: true })
  const session = {
    view,
    services: { clock: systemClock },
    connection: { signal: new AbortController().signal },
  } as unknown as Parameters<typeof findMatches>[0]
  const key: SearchKey = { key: 'BODY', value: Buffer.from('body 7') }
  const find = async (words: readonly 'MIN'[] | readonly 'MAX'[], partial?: PartialRange) => {
    const options: ReturnOptions = { words: new Set(words), partial }
    return (await findMatches(session, key, undefined, scopeOf(view, options))).positions
  }
  expect((await find(['MIN']))[0]).toBe(7)
  expect((await find(['MAX'])).at(-1)).toBe(997)
  expect((await find([], { first: 1, last: 3 })).slice(0, 3)).toEqual([7, 17, 27])
  expect((await find([], { first: -3, last: -1 })).slice(-3)).toEqual([977, 987, 997])
  // Summary and message, of 64 from either end.
  expect(opened).toBeLessThan(300)
  expect(await find([], { first: 99, last: 500 })).toHaveLength(100)
  expect((await find(['MIN'], { first: -1, last: -1 })).length).toBe(100)
})

it('finds fields of the longest header by thousands of keys without a stall', async () => {
  const served = await serve()
  await deliver(served.elsewhere, 'INBOX', [`${'X: y\r\n'.repeat(10_000)}X-Last: here\r\n\r\nbody\r\n`])
  const peer = await served.enter()
  await peer.command('s', 'SELECT INBOX')
  await peer.command('c', 'SEARCH HEADER X none')
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const keys = Array.from({ length: 2000 }, (_, index) => `NOT HEADER X n${index}`)
  expect((await peer.command('q', `SEARCH ${keys.join(' ')} HEADER X-Last here HEADER X y`))[0]).toBe('* SEARCH 1')
  delay.disable()
  // A walk through all fields by each key takes seconds.
  expect(delay.max / 1e6).toBeLessThan(1000)
})
