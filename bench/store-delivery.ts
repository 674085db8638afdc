/**
 * Durable delivery to one mailbox from one process: messages/s and CPU for batches of 1, 10 and 100, one after another and two at a time.
 * Run on a quiet machine: UV_THREADPOOL_SIZE=16 node bench/store-delivery.ts [directory] [messages]
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { openStore } from '#src/store/store.ts'
import type { Mailbox } from '#src/store/types.ts'

const root = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'store-delivery-'))
const messages = Number(process.argv[3] ?? 5000)
const octets = Buffer.alloc(2048, 'x')

async function deliverBatch(mailbox: Mailbox, size: number, first: number): Promise<void> {
  await using delivery = mailbox.deliver()
  for (let at = 0; at < size; at += 1) {
    const uidl = `UIDL-${first + at}`
    const sink = delivery.add({ internalDate: 1_700_000_000, origin: `pop.example.net:lena:${uidl}`, uidl })
    await sink.write(octets)
    await sink.end()
  }
  await delivery.commit()
}

const store = openStore({ root, clock: systemClock, log: silentLog })
const account = store.account('lena@example.com' as UserId)
await account.ensure()
for (const [size, atOnce] of [
  [100, 1],
  [100, 2],
  [10, 1],
  [1, 1],
  [1, 8],
  [1, 32],
] as const) {
  const name = `b${size}x${atOnce}`
  await account.create(name)
  await using mailbox = await account.open(name)
  const count = size === 1 && atOnce === 1 ? messages / 5 : messages
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  const cpu = process.cpuUsage()
  const start = performance.now()
  let next = 0
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < count) {
        next += size
        await deliverBatch(mailbox, size, next - size)
      }
    }),
  )
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  delay.disable()
  if (mailbox.messages.length !== next) throw new Error(`${mailbox.messages.length} of ${next} messages arrived`)
  console.log(
    `batches of ${size}, ${atOnce} at once: ${(next / seconds).toFixed(0)} messages/s, ` +
      `${((user + system) / 1000 / next).toFixed(3)} ms CPU a message, event loop late by at most ${(delay.max / 1e6).toFixed(0)} ms`,
  )
}
await store.close()
rmSync(root, { recursive: true })
