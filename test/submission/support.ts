import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Log, LogFields, Severity } from '#src/base/log.ts'
import { Queue } from '#src/submission/queue.ts'
import { type Outgoing, Spool } from '#src/submission/spool.ts'
import { Submission } from '#src/submission/submission.ts'
import { TurnedClock } from '#test/support/turned-clock.ts'

export const message = (n: number | string, more: Partial<Outgoing> = {}): Outgoing => ({
  kind: 'redirect',
  sender: 'martin@example.org',
  recipient: 'away@example.net',
  owner: 'steve@example.com',
  octets: Buffer.from(`From: martin@example.org\r\nSubject: ${n}\r\n\r\n.gr\xfc\xdfe\r\n`, 'latin1'),
  ...more,
})

export const submissionTo = (port: number, login?: { user: string; password(): string }, host = '127.0.0.1') =>
  new Submission({ host, port, login, connectMs: 2_000, idleMs: 2_000 })

export interface Logged {
  readonly severity: Severity
  readonly message: string
  readonly fields: LogFields | undefined
}

export function rememberingLog(
  records: Logged[] = [],
  more: LogFields = {},
): Log & { readonly records: readonly Logged[] } {
  return {
    records,
    log: (severity, message, fields) => void records.push({ severity, message, fields: { ...more, ...fields } }),
    child: (fields) => rememberingLog(records, { ...more, ...fields }),
  }
}

/** A directory, and queues on it that stand for processes. */
export async function testSpool(): Promise<
  AsyncDisposable & {
    readonly directory: string
    readonly clock: TurnedClock
    readonly spool: Spool
    readonly log: ReturnType<typeof rememberingLog>
    process(port: number): Queue
  }
> {
  const root = await mkdtemp(join(tmpdir(), 'queue-'))
  const clock = new TurnedClock()
  const directory = join(root, '.outgoing')
  const spool = new Spool(directory, clock)
  const log = rememberingLog()
  const queues: Queue[] = []
  return {
    directory,
    clock,
    spool,
    log,
    process: (port) => {
      const queue = new Queue({
        spool: new Spool(directory, clock),
        submission: submissionTo(port),
        clock,
        log,
        domain: 'example.com',
      })
      queues.push(queue)
      queue.start()
      return queue
    },
    [Symbol.asyncDispose]: async () => {
      for (const queue of queues) await queue.stop(5_000)
      await rm(root, { recursive: true, force: true })
    },
  }
}
