/**
 * A process is killed at its nth call of each kind while it delivers and cuts the log, for every n; strace does it. Afterwards the delivery is
 * there whole or not at all, and the mailbox takes another one. The long form: node test/store/campaign/nth-call.ts
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import { openStore } from '#src/store/store.ts'
import type { Mailbox } from '#src/store/types.ts'
import { epochEntries } from './one-delivery.ts'

const user = 'lena@example.com' as UserId
/** What changes the disk, by the names that it has on different processors. */
const calls = ['link|linkat', 'rename|renameat', 'fsync', 'mkdir|mkdirat', 'unlink|unlinkat', 'write|writev', 'openat']

export interface NthCallReport {
  /** By kind of call. */
  readonly kills: Readonly<Record<string, number>>
  readonly faults: readonly string[]
}

/** `step`: only every so manieth call; those that publish something are all taken. */
export async function nthCall(step = 1): Promise<NthCallReport> {
  const directory = mkdtempSync(join(tmpdir(), 'wherry-nth-'))
  const prepared = join(directory, 'prepared')
  const kills: Record<string, number> = {}
  const faults: string[] = []
  try {
    await prepare(prepared)
    for (const call of calls) {
      kills[call] = 0
      const publishes = /link|rename/.test(call)
      for (let n = 1; ; n += publishes ? 1 : step) {
        const root = join(directory, 'store')
        cpSync(prepared, root, { recursive: true })
        const { killed, delivered } = await run(root, call, n)
        for (const fault of await look(root, delivered)) faults.push(`killed at ${call} ${n}: ${fault}`)
        rmSync(root, { recursive: true, force: true })
        if (!killed) break
        kills[call] += 1
      }
    }
    return { kills, faults }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function prepare(root: string): Promise<void> {
  await using store = openStore({ root, clock: systemClock, log: logTo([]) })
  const account = store.account(user)
  await account.ensure()
  await using inbox = await account.open('INBOX')
  for (let entry = 0; entry < epochEntries; entry += 1) await deliverOne(inbox)
}

async function deliverOne(mailbox: Mailbox): Promise<boolean> {
  await using delivery = mailbox.deliver()
  const sink = delivery.add({ internalDate: 1_700_000_000 })
  await sink.write(Buffer.from('Subject: one\r\n\r\n'))
  await sink.end()
  const [delivered] = await delivery.commit()
  return delivered !== undefined && 'uid' in delivered
}

/** One delivery, killed at its nth call of this kind. */
async function run(root: string, call: string, n: number): Promise<{ killed: boolean; delivered: boolean }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'one-delivery.ts'), root], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // strace counts the calls of each thread: all that change the disk come from one.
    env: { ...process.env, UV_THREADPOOL_SIZE: '1', UV_USE_IO_URING: '0' },
  })
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })
  let delivered = false
  lines.on('line', (line) => {
    delivered ||= line === 'delivered'
  })
  const closed = once(lines, 'close')
  await once(lines, 'line')
  const kill = `inject=/^(${call})$:signal=KILL:when=${n}`
  const strace = spawn(
    'strace',
    ['-f', '-o', '/dev/null', '-e', `trace=/^(${call})$`, '-e', kill, '-p', String(child.pid)],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  )
  const detached = once(strace, 'exit')
  const said = createInterface({ input: strace.stderr })
  for await (const line of said) if (line.includes('attached')) break
  strace.stderr.resume()
  child.stdin.write('go\n')
  const [, signal] = (await exited) as [number | null, NodeJS.Signals | null]
  await Promise.all([closed, detached])
  return { killed: signal === 'SIGKILL', delivered }
}

async function look(root: string, delivered: boolean): Promise<string[]> {
  const faults: string[] = []
  await using store = openStore({ root, clock: systemClock, log: logTo(faults), epochEntries })
  await using inbox = await store.account(user).open('INBOX')
  const there = inbox.messages.length - epochEntries
  if (there !== 2 && (delivered || there !== 0))
    faults.push(`${there} of 2 messages are there, acknowledged: ${delivered}`)
  for (const message of inbox.messages) {
    await using content = await inbox.content(message)
    if (content.sizeOctets !== message.sizeOctets) faults.push(`UID ${message.uid} is cut off`)
  }
  if (!(await deliverOne(inbox))) faults.push('the mailbox takes no message')
  return faults
}

/** Damage that is reported is a fault. */
function logTo(faults: string[]): Log {
  const log: Log = {
    log: (level, text) => void (level === 'err' && faults.push(text)),
    child: () => log,
  }
  return log
}

if (import.meta.main) {
  const report = await nthCall()
  console.log(report)
  if (report.faults.length > 0) process.exitCode = 1
}
