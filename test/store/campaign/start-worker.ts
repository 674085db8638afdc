import { type ChildProcess, spawn } from 'node:child_process'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Ledger } from './ledger.ts'
import type { Told } from './told.ts'

/** Compiled once: starting a worker costs a tenth of a second, as often as one is killed. */
const compiled = resolve(import.meta.dirname, '../../../node_modules/.cache/compiled')

/** As worker.ts takes them. */
export interface WorkerOptions {
  readonly root: string
  readonly name: string
  /** Takes what the worker says. */
  readonly ledger: Ledger
  readonly messages: number
  readonly lies?: number
  readonly only?: 'messages'
}

export interface Worker {
  readonly child: ChildProcess
  /** Resolves when it is at work. */
  readonly busy: Promise<void>
  /** Resolves when it is gone and all that it said was taken. */
  readonly ended: Promise<void>
}

export function startWorker({ root, name, ledger, messages, lies = 0, only }: WorkerOptions): Worker {
  const words = [
    join(import.meta.dirname, 'worker.ts'),
    root,
    name,
    String(messages),
    String(lies),
    ...(only ? [only] : []),
  ]
  const child = spawn(process.execPath, words, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_COMPILE_CACHE: compiled },
  })
  const { promise: busy, resolve: isBusy } = Promise.withResolvers<void>()
  const { promise: ended, resolve: hasEnded } = Promise.withResolvers<void>()
  createInterface({ input: child.stdout })
    .on('line', (line) => {
      let told: Told
      try {
        told = JSON.parse(line) as Told
      } catch {
        // Killed in the middle of a line.
        return
      }
      ledger.take(told)
      if (told[0] === 'did') isBusy()
    })
    .on('close', () => {
      isBusy()
      hasEnded()
    })
  return { child, busy, ended }
}
