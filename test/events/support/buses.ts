/** Hub and clients of one test, taken down with it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { Log, LogFields, Severity } from '#src/base/log.ts'
import type { EventAddress, EventTls } from '#src/events/address.ts'
import { connectEvents } from '#src/events/client.ts'
import type { EventBus } from '#src/events/types.ts'
import { type HubOptions, type RunningHub, startHub } from '#src/mseventd/serve.ts'

/** A log whose records can be looked at. */
export interface Records extends Log {
  readonly records: { readonly severity: Severity; readonly message: string; readonly fields: LogFields | undefined }[]
}

export function recordingLog(): Records {
  const records: Records['records'] = []
  const log: Records = {
    records,
    log: (severity, message, fields) => {
      records.push({ severity, message, fields })
    },
    child: () => log,
  }
  return log
}

export async function socketPath(): Promise<{ readonly path: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'wherry-events-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return { path: join(directory, 'mseventd') }
}

export async function hub(
  address: EventAddress,
  log: Log = recordingLog(),
  more: Partial<HubOptions> = {},
): Promise<RunningHub> {
  const running = await startHub({ listeners: [address], clock: systemClock, log, ...more })
  onTestFinished(() => running.stop().catch(() => {}))
  return running
}

export function bus(address: EventAddress, name = 'test', log: Log = recordingLog(), tls?: EventTls): EventBus {
  const client = connectEvents({ address, tls, clock: systemClock, log, name, host: 'mail.example.org' })
  onTestFinished(() => client.close())
  return client
}
