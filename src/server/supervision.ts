/**
 * Processes that are kept alive: a service's workers, and the services of `mbox run`. A kept process tells over its IPC
 * channel when it is ready or why it can't be; one that ends abnormally is started again, after a growing pause. It
 * ends by itself when the channel closes, so nothing is left behind by a killed supervisor.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { resolve as resolvePath } from 'node:path'
import { systemClock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { ListenAddress } from './types.ts'

/** What a process says to the one that started it. */
export type Report =
  | { readonly type: 'ready'; readonly addresses: readonly ListenAddress[] }
  | { readonly type: 'failed'; readonly reason: string; readonly exitCode: number }

/** Tells the starter of this process, if there is one. Resolves when the report is on its way. */
export const report = (message: Report): Promise<void> =>
  new Promise((resolve) => {
    if (process.send && process.connected) process.send(message, () => resolve())
    else resolve()
  })

/** A process ended before it was ready. `message` is its own reason where it gave one. */
export class StartError extends Error {
  override readonly name = 'StartError'
  readonly exitCode: number
  constructor(message: string, exitCode: number) {
    super(message)
    this.exitCode = exitCode
  }
}

export interface KeptOptions {
  /** For the log. */
  readonly name: string
  /** A module that Node runs. */
  readonly main: string
  readonly args: readonly string[]
  /** Beside this process's own; `again` for one that takes the place of a dead one. */
  readonly env: (again: boolean) => Readonly<Record<string, string>>
  readonly log: Log
  /** stdout and stderr, line by line with the newline; inherited when absent. */
  readonly onOutput?: (line: string) => void
  /** It ended, and is not started again: normally (0) or because it was stopped. */
  readonly onEnd: () => void
}

/** For processes of a command that did not come by bin/launch.sh, which names the same place. */
const compileCache = resolvePath(import.meta.dirname, '../../node_modules/.cache/compiled')

/** Node's own pool of four threads is the limit of a store that syncs many files at once, and is full when four of them hang. */
const filePoolThreads = '16'

/**
 * What Node takes for what is new is some 16 MiB by itself, thrice, in each process: with some thousand sessions that wait, or a pull of many messages, most of what it takes.
 * Empty where the starter has said it, which this process has it from, or an operator.
 */
const smallYoungGeneration = process.env.NODE_OPTIONS?.includes('--max-semi-space-size')
  ? {}
  : { NODE_OPTIONS: `--max-semi-space-size=2 ${process.env.NODE_OPTIONS ?? ''}`.trim() }

const firstPauseMs = 100
const longestPauseMs = 30_000
/** A process that lived this long starts with the first pause again. */
const soundMs = 60_000

/** One process and its successors. `start` once, then `signal` and `stop`. */
export class KeptProcess {
  readonly name: string
  readonly #options: KeptOptions
  #child: ChildProcess | undefined
  #stopping = false
  #restart: NodeJS.Timeout | undefined
  #pauseMs = firstPauseMs
  #ended: Promise<void> = Promise.resolve()

  constructor(options: KeptOptions) {
    this.name = options.name
    this.#options = options
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Resolves when it is ready for the first time. Throws StartError when it ends before; it is not started again then. */
  start(): Promise<readonly ListenAddress[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly ListenAddress[]>()
    this.#spawn(resolve, reject)
    return promise
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Asks it to stop; kills it when it has not ended after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true
    if (this.#restart) {
      clearTimeout(this.#restart)
      this.#restart = undefined
      this.#options.onEnd()
      return
    }
    this.signal('SIGTERM')
    const killer = setTimeout(() => {
      this.#options.log.log('err', `${this.name} does not stop and is killed`)
      this.signal('SIGKILL')
    }, graceMs)
    await this.#ended
    clearTimeout(killer)
  }

  #spawn(onReady?: (addresses: readonly ListenAddress[]) => void, onFailure?: (error: StartError) => void): void {
    const { main, args, env, log, onOutput } = this.#options
    const startedAt = systemClock.monotonic()
    const child = fork(main, args, {
      env: {
        NODE_COMPILE_CACHE: compileCache,
        UV_THREADPOOL_SIZE: filePoolThreads,
        ...process.env,
        ...smallYoungGeneration,
        ...env(onReady === undefined),
      },
      stdio: onOutput ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#child = child
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#ended = promise
    let ready = false
    let failure: (Report & { type: 'failed' }) | undefined
    if (onOutput) for (const stream of [child.stdout, child.stderr]) if (stream) eachLine(stream, onOutput)
    child.on('message', (message: Report) => {
      if (message.type === 'failed') failure = message
      else if (!ready) {
        ready = true
        onReady?.(message.addresses)
      }
    })
    child.on('error', (error) => log.log('crit', `${this.name} can't be run`, { reason: error.message }))
    child.on('close', (code, signal) => {
      this.#child = undefined
      resolve()
      const how = signal ?? `exit code ${code}`
      if (!ready && onFailure)
        onFailure(new StartError(failure?.reason ?? `${this.name} ended at the start: ${how}`, failure?.exitCode ?? 70))
      if (this.#stopping || code === 0 || (!ready && onFailure)) {
        this.#options.onEnd()
        return
      }
      if (systemClock.monotonic() - startedAt > soundMs) this.#pauseMs = firstPauseMs
      log.log('crit', `${this.name} ended abnormally and is started again`, {
        how,
        reason: failure?.reason,
        pause_ms: this.#pauseMs,
      })
      this.#restart = setTimeout(() => {
        this.#restart = undefined
        this.#spawn()
      }, this.#pauseMs)
      this.#pauseMs = Math.min(this.#pauseMs * 2, longestPauseMs)
    })
  }
}

const longestLineChars = 64 * 1024

function eachLine(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    for (const line of lines) onLine(`${line}\n`)
    if (rest.length > longestLineChars) {
      onLine(`${rest}\n`)
      rest = ''
    }
  })
  stream.on('end', () => {
    if (rest !== '') onLine(`${rest}\n`)
  })
}
