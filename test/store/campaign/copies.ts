/**
 * Copies of a store that two processes write to, made by ordinary tools, checked, and opened as a backup would be. What was acknowledged before the
 * copy began must be there, octet for octet; nothing may be listed without its file, and nothing be there to repair. The long form:
 * npm run prove:copies -- [copies by each tool] [messages in each mailbox] [tool …]
 */

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { type Log, silentLog } from '#src/base/log.ts'
import { nodeFs } from '#src/store/fs.ts'
import { openStore } from '#src/store/store.ts'
import { verify } from '#src/store/verify/verify.ts'
import { fill } from './fill.ts'
import { Ledger } from './ledger.ts'
import { startWorker } from './start-worker.ts'
import type { Key } from './told.ts'

export interface CopiesReport {
  /** By tool. */
  readonly copies: Readonly<Record<string, number>>
  /** Messages that had to be in the copies, and were looked at. */
  readonly messages: number
  /** Those that were listed in the copies altogether: also what came while a copy was made. */
  readonly listed: number
  readonly faults: readonly string[]
}

/** Files that went while they were copied are no failure: cp ends with 1 then, rsync with 24. */
const tools = [
  { name: 'cp', command: 'cp -a "$0/" "$1"', status: [0, 1] },
  { name: 'rsync', command: 'rsync -a "$0/" "$1"', status: [0, 24] },
  { name: 'tar', command: 'mkdir "$1" && tar -C "$0" --sort=name -c . | tar -C "$1" -x', status: [0] },
] as const

export const allTools = tools.map(({ name }) => name)

/** The tools take turns. */
export async function copies(count: number, messages = 300, by: readonly string[] = allTools): Promise<CopiesReport> {
  const used = tools.filter(({ name }) => by.includes(name))
  const directory = mkdtempSync(join(tmpdir(), 'wherry-copies-'))
  const root = join(directory, 'store')
  const ledger = new Ledger()
  const faults: string[] = []
  let looked = 0
  const made: Record<string, number> = {}
  let listed = 0
  try {
    await fill(root, messages, ledger)
    const workers = ['worker-0', 'worker-1'].map((name) =>
      startWorker({ root, name, ledger, messages, only: 'messages' }),
    )
    await Promise.all(workers.map((worker) => worker.busy))
    for (let number = 0; number < count && faults.length === 0; number += 1) {
      const { name, command, status } = used[number % used.length]!
      const known = new Map(ledger.digests)
      for (const { child } of workers) child.kill('SIGCONT')
      const target = join(directory, `copy-${number}`)
      const child = spawn('sh', ['-c', command, root, target], { stdio: 'ignore' })
      const [code] = (await once(child, 'exit')) as [number | null]
      if (!(status as readonly (number | null)[]).includes(code)) throw new Error(`${name} ended with ${code}`)
      // They stand still while nobody copies: the store is to stay small.
      for (const { child: worker } of workers) worker.kill('SIGSTOP')
      // What is being expunged, or moved from a mailbox that was not copied yet to one that was, may be missing.
      for (const key of ledger.leaving) known.delete(key)
      const found = await check(target)
      const result = await look(target, known)
      found.push(...result.faults)
      faults.push(...found.map((fault) => `copy ${number} by ${name}: ${fault}`))
      listed += result.listed
      made[name] = (made[name] ?? 0) + 1
      looked += known.size
      rmSync(target, { recursive: true, force: true })
    }
    for (const { child } of workers) child.kill('SIGKILL')
    await Promise.all(workers.map((worker) => worker.ended))
    return { copies: made, messages: looked, listed, faults: [...faults, ...ledger.faults] }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** What a check finds in a copy before anybody else opens it. */
async function check(root: string): Promise<string[]> {
  const faults: string[] = []
  await verify({
    fs: nodeFs,
    clock: systemClock,
    repair: false,
    deep: false,
    openStore: () => openStore({ root, clock: systemClock, log: silentLog }),
    roots: [root],
    onFinding: ({ kind, path, detail }) => faults.push(`${kind} at ${path}: ${detail}`),
    onStep: () => {},
  })
  return faults
}

async function look(root: string, known: ReadonlyMap<Key, string>): Promise<{ listed: number; faults: string[] }> {
  const faults: string[] = []
  const log: Log = {
    log(level, text, fields) {
      if (level === 'err') faults.push(`${text} ${JSON.stringify(fields)}`)
    },
    child: () => log,
  }
  await using store = openStore({ root, clock: systemClock, log })
  const account = store.account('lena@example.com' as UserId)
  const found = new Set<Key>()
  let listed = 0
  for (const { name, selectable } of await account.list()) {
    if (!selectable) continue
    await using mailbox = await account.open(name)
    for (const message of mailbox.messages) {
      const key: Key = `${mailbox.id}/${message.uid}`
      found.add(key)
      listed += 1
      const digest = createHash('sha256')
      try {
        await using content = await mailbox.content(message)
        for await (const chunk of content.stream()) digest.update(chunk)
      } catch (error) {
        faults.push(`${name}, ${key}: ${error}`)
        continue
      }
      const octets = digest.digest('base64url')
      if (octets !== message.digest || octets !== (known.get(key) ?? octets))
        faults.push(`${name}, ${key} has other octets`)
    }
    await using delivery = mailbox.deliver()
    await delivery.add({ internalDate: 0 }).end()
    const [delivered] = await delivery.commit()
    if (delivered === undefined || !('uid' in delivered)) faults.push(`${name} takes no message`)
  }
  for (const key of known.keys()) if (!found.has(key)) faults.push(`${key} is not in the copy`)
  return { listed, faults }
}

if (import.meta.main) {
  const [each = 100, messages = 1000] = process.argv.slice(2, 4).map(Number)
  const named = process.argv.slice(4)
  const by = named.length > 0 ? named : allTools
  const report = await copies(each * by.length, messages, by)
  console.log(report)
  if (report.faults.length > 0) process.exitCode = 1
}
