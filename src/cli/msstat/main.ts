import { systemClock } from '../../base/clock.ts'
import { msstat } from './msstat.ts'

const interrupt = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupt.abort())

process.exitCode = await msstat(process.argv.slice(2), {
  out: process.stdout,
  err: process.stderr,
  clock: systemClock,
  interrupted: interrupt.signal,
})
