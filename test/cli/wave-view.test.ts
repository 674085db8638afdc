/** The view of a wave on a terminal: what has to be seen fits 80 columns, and what an old server says does nothing to the terminal. */
import { Writable } from 'node:stream'
import { expect, it } from 'vitest'
import type { WaveMember, WaveSummary } from '#src/auth/ms-syncd-waves.ts'
import { systemClock } from '#src/base/clock.ts'
import { screenOn } from '#src/cli/msadm/screen.ts'
import { screenOf } from '#src/cli/msadm/wave/watch.ts'

const summary: WaveSummary = {
  name: 'first',
  state: 'pull',
  task: 'pull',
  created: 0,
  members: 12_000,
  states: { migrated: 3_000, waiting: 8_900, 'left-out': 100 },
  done: 3_100,
  failed: 17,
  running: 8,
  messages: 31_234_567,
  octets: 812_345_678_901,
  messagesThere: 123_456_789,
  octetsThere: 3_912_345_678_901,
  eta: systemClock.now() + 7_200_000,
  limits: { atOnce: 8, perHost: 0, accountMb: 0 },
  stragglers: 0,
}
const member: WaveMember = {
  userId: 'anna@example.org',
  state: 'pulling',
  priority: 0,
  isRunning: true,
  messages: 10,
  octets: 2_048,
}

it('counts, octets, failures and the time that is left are seen in 80 columns', () => {
  const text = screenOf(summary, [member])
    .map((line) => line.slice(0, 79))
    .join('\n')
  for (const part of ['25 %', 'pull', 'h left', '17 failed', '31234567 of 123456789 messages', 'of 3.6 TB', 'anna@'])
    expect(text).toContain(part)
})

it('a wave that is through with its task is shown as that', () => {
  const { task: _, eta: __, ...done } = summary
  expect(screenOf({ ...done, state: 'pulled', done: 0, failed: 0 }, [])[0]).toMatch(/^\[#{20}\] 100 % pulled {2}first$/)
})

it('a reason in the words of an old server stays on its line', () => {
  const stuck = { ...member, isRunning: false, reason: 'no\r\n\x1b[2J\u009b2Jway' }
  let drawn = ''
  const terminal = new Writable({
    write: (chunk, _, done) => {
      drawn += chunk
      done()
    },
  })
  screenOn(terminal)(screenOf(summary, [stuck]))
  expect(drawn).toContain('  ! anna@example.org: no   [2J 2Jway\x1b[K\n')
})
