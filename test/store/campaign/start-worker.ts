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
  /** Resolves when it said so much, or is gone. */
  told(count: number): Promise<void>
  /** Resolves when it is gone and all that it said was taken, with the steps that it had begun and never ended. */
  readonly ended: Promise<readonly string[]>
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
  const { promise: ended, resolve: hasEnded } = Promise.withResolvers<readonly string[]>()
  const under: string[] = []
  let count = 0
  let wake: { readonly at: number; readonly resolve: () => void } | undefined
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
      count += 1
      if (wake !== undefined && count >= wake.at) wake.resolve()
      if (told[0] === 'does') under.push(told[1])
      if (told[0] === 'did' || told[0] === 'refused') under.splice(under.indexOf(told[1]), 1)
      if (told[0] === 'did') isBusy()
    })
    .on('close', () => {
      isBusy()
      wake?.resolve()
      hasEnded(under)
    })
  const told = (at: number) =>
    new Promise<void>((resolve) => {
      wake = { at, resolve }
      if (count >= at || child.exitCode !== null || child.signalCode !== null) resolve()
    })
  return { child, busy, told, ended }
}
