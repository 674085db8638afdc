/** Runs a peer as a program of its own, and measures it: wall time, and CPU and memory of it and its children, from GNU time. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '#test/support/free-port.ts'
import type { Peer, Source } from './peer.ts'

export interface Run {
  readonly messages: number
  readonly octets: number
  readonly wallSeconds: number
  readonly cpuSeconds: number
  readonly peakMiB: number
  /** Of the second run, with nothing new. */
  readonly againSeconds?: number | undefined
}

/** Messages and octets in all Maildirs below a directory. */
function stored(directory: string): { messages: number; octets: number } {
  let messages = 0
  let octets = 0
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/(?:^|\/)(?:new|cur)$/.test(entry.parentPath)) continue
    messages++
    octets += statSync(join(entry.parentPath, entry.name)).size
  }
  return { messages, octets }
}

function timed(work: string, command: readonly string[]) {
  const timing = join(work, 'time')
  const started = performance.now()
  const result = spawnSync('/usr/bin/time', ['-q', '-o', timing, '-f', '%U %S %M', ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 600_000,
    maxBuffer: 1 << 26,
  })
  const wallSeconds = (performance.now() - started) / 1000
  const times = readFileSync(timing, 'utf8').trim().split('\n').at(-1)!.split(' ').map(Number)
  const [user, system, peak] = times as [number, number, number]
  return { result, wallSeconds, cpuSeconds: user + system, peakMiB: peak / 1024 }
}

/** Into a fresh directory in `work`. Throws when it fetched nothing. */
export function measureIn(work: string, peer: Peer, from: Source, again = false): Run {
  const directory = mkdtempSync(join(work, 'run-'))
  chmodSync(directory, 0o755)
  const command = peer.command(from, directory)
  const { result, ...run } = timed(work, command)
  const printed = /^(\d+) (\d+)$/m.exec(result.stdout.toString())
  const got = printed === null ? stored(directory) : { messages: Number(printed[1]), octets: Number(printed[2]) }
  if (got.messages === 0) throw new Error(`${peer.name} fetched nothing:\n${result.stdout}${result.stderr}`)
  return { ...got, ...run, againSeconds: again ? timed(work, command).wallSeconds : undefined }
}

/** A port behind which the other one answers so many ms later, each way. The caller ends the proxy. */
export async function behindDelay(
  backendPort: number,
  delayMs: number,
): Promise<{ port: number; proxy: ChildProcess }> {
  const port = await freePort()
  const proxy = spawn(
    process.execPath,
    [join(import.meta.dirname, 'delay-proxy.ts'), String(port), String(backendPort), String(delayMs)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  await new Promise((resolve) => proxy.stdout!.once('data', resolve))
  return { port, proxy }
}

export const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
