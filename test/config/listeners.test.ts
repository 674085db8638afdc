import { expect, it } from 'vitest'
import { configOf } from '#src/config/config.ts'
import { listenersOf } from '#src/config/listeners.ts'

it('lmtpd listens at /var/run/lmtp, in the place of another run_dir, or where it is told (LMTP-01)', () => {
  expect(listenersOf(configOf({}), 'lmtp')).toEqual([{ path: '/var/run/lmtp' }])
  expect(listenersOf(configOf({ run_dir: '/tmp/run' }), 'lmtp')).toEqual([{ path: '/tmp/run/lmtp' }])
  expect(listenersOf(configOf({ run_dir: '/tmp/run', lmtp_host: ['/a/b'] }), 'lmtp')).toEqual([{ path: '/a/b' }])
  expect(listenersOf(configOf({ lmtp_host: [''] }), 'lmtp')).toEqual([{ host: '', port: 2003 }])
})
