import { expect, it } from 'vitest'
import { killDeliveries } from './kills.ts'

it('LMTP-03: lmtpd that is killed loses nothing that it acknowledged, and what is sent again is stored once', {
  timeout: 120_000,
}, async () => {
  const report = await killDeliveries(4, 32, 7)
  expect(report.faults).toEqual([])
  expect(report.acknowledged).toBeGreaterThan(0)
  expect(report.again).toBeGreaterThan(0)
})
