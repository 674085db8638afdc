/**
 * The life of a daemon's processes. Without -d a launcher starts a background process, waits until that answers, and
 * ends. That process (or the one with -d) is the service: alone, or the parent of workers (`managed_services`, a worker
 * per core). Every process reports to the one that started it (supervision.ts).
 */
import { fork } from 'node:child_process'
import { closeSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { RemoteError, StoreError } from '../base/errors.ts'
import type { Severity } from '../base/log.ts'
import type { Config } from '../config/config.ts'
import { ConfigError, formatFinding } from '../config/finding.ts'
import { type LoadedConfig, loadConfig } from '../config/ms-conf.ts'
import { type DaemonArguments, daemonUsage, parseDaemonArguments } from './arguments.ts'
import { ListenError } from './listener.ts'
import { type LogFormat, type LogTarget, makeLog, severities } from './log/log.ts'
import { FileTarget, openLogFile, stderrTarget } from './log/targets.ts'
import { asMsUser, directoryFault, makeOwnDirectory, missingUser } from './ms-user.ts'
import { runParent } from './parent.ts'
import { claimPidFile, refuseSecond } from './pid-file.ts'
import { exitCodes, logVariable, type Process, roleVariable } from './process.ts'
import { type Report, report, StartError } from './supervision.ts'
import { TlsError } from './tls.ts'
import type { Daemon } from './types.ts'
import { runWorker, type WorkerPlace } from './worker.ts'

type Role = { readonly kind: 'front' | 'background' | 'supervised' } | ({ readonly kind: 'worker' } & WorkerPlace)

function roleOf(text: string | undefined): Role {
  const worker = /^worker ([0-9]+)\/([0-9]+)( again)?$/.exec(text ?? '')
  if (worker)
    return { kind: 'worker', index: Number(worker[1]), count: Number(worker[2]), again: worker[3] !== undefined }
  return { kind: text === 'background' || text === 'supervised' ? text : 'front' }
}

/** Runs a daemon as its command line says. Resolves when this process has nothing more to do; the exit code is set. */
export async function runDaemon(daemon: Daemon): Promise<void> {
  const role = roleOf(process.env[roleVariable])
  let args: DaemonArguments
  let logging: ReturnType<typeof loggingOf>
  try {
    args = parseDaemonArguments(process.argv.slice(2))
    logging = loggingOf(process.env)
  } catch (error) {
    await fail(daemon, `${(error as Error).message}\n${daemon.name} --help shows what there is`, exitCodes.usage)
    return
  }
  if (args.help) {
    process.stdout.write(daemonUsage(daemon.name))
    return
  }
  // Mail is nobody's but the service user's.
  process.umask(0o077)
  let loaded: LoadedConfig
  try {
    // Whoever started a worker, or a process behind a launcher, was patient already.
    loaded = await loadConfig(args.configFile, { patient: role.kind === 'front' || role.kind === 'supervised' })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    await fail(daemon, error.message, exitCodes.config)
    return
  }
  const { config } = loaded
  try {
    if (role.kind === 'front' && !args.foreground) await launch(daemon, config)
    else await live(daemon, role, args, loaded, logging)
  } catch (error) {
    await fail(daemon, reasonOf(error), exitCodeOf(error))
  }
}

async function live(
  daemon: Daemon,
  role: Role,
  args: DaemonArguments,
  { config, warnings, directory }: LoadedConfig,
  logging: ReturnType<typeof loggingOf>,
): Promise<void> {
  const logFile = process.env[logVariable]
  const target: LogTarget & { reopen?(): void } =
    logFile === undefined ? stderrTarget : new FileTarget(() => openLog(config, logFile))
  const log = makeLog({ daemon: daemon.name, label: args.label, target, ...logging })
  const own: Process = {
    daemon,
    args,
    config,
    directory: role.kind === 'worker' ? undefined : directory,
    log,
    reopenLog: () => target.reopen?.(),
  }
  if (role.kind === 'worker') {
    await runWorker(own, role)
    return
  }
  try {
    makeOwnDirectory(config, 'run_dir')
    process.once(
      'exit',
      asMsUser(config, () => claimPidFile(config, daemon.name)),
    )
    for (const finding of warnings) log.log('warning', formatFinding(finding))
    // Whoever supervises this service says it for all of them.
    const missing = missingUser(config)
    if (missing !== undefined && role.kind === 'front') log.log('warning', 'running as root', { reason: missing })
    const count = workerCount(daemon, config)
    const managed = config.get('managed_services') && role.kind !== 'supervised'
    if (count === 1 && !managed) await runWorker(own, { index: 0, count: 1, again: false })
    else await runParent(own, count)
  } catch (error) {
    // Nobody may be looking at the terminal that is told too.
    if (logFile !== undefined) log.log('err', 'not started', { reason: reasonOf(error) })
    throw error
  }
}

/** Rotation may be root's affair; the file is ms_user's all the same. Throws StartError. */
function openLog(config: Config, path: string): number {
  try {
    return asMsUser(config, () => openLogFile(path))
  } catch (error) {
    throw new StartError(directoryFault(config, 'run_dir', error as Error), exitCodes.unavailable)
  }
}

/** Cores, held between thread_pool_min and thread_pool_max. IMAP-17; SRV-02: one process without a parent. */
function workerCount(daemon: Daemon, config: Config): number {
  if (daemon.workers === 'one' || !config.get('managed_services')) return 1
  const least = config.get('thread_pool_min')
  return Math.max(1, Math.min(Math.max(availableParallelism(), least), config.get('thread_pool_max')))
}

/** Starts the background process and waits for its report. */
async function launch(daemon: Daemon, config: Config): Promise<void> {
  const missing = missingUser(config)
  if (missing !== undefined) throw new StartError(missing, exitCodes.unavailable)
  makeOwnDirectory(config, 'run_dir')
  const runDirectory = config.get('run_dir')
  refuseSecond(runDirectory, daemon.name)
  const logFile = join(runDirectory, `${daemon.name}.log`)
  const logFd = openLog(config, logFile)
  const child = fork(process.argv[1]!, process.argv.slice(2), {
    detached: true,
    // What Node itself says when it dies belongs into the log too.
    stdio: ['ignore', logFd, logFd, 'ipc'],
    env: { ...process.env, [roleVariable]: 'background', [logVariable]: logFile },
  })
  closeSync(logFd)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  child.once('message', (message: Report) => {
    if (message.type === 'ready') resolve()
    else reject(new StartError(message.reason, message.exitCode))
  })
  child.once('exit', (code, signal) =>
    reject(new StartError(`ended at the start (${signal ?? `exit code ${code}`}); ${logFile} says more`, 70)),
  )
  try {
    await promise
  } finally {
    if (child.connected) child.disconnect()
    child.unref()
  }
}

function loggingOf(env: NodeJS.ProcessEnv): { readonly least: Severity; readonly format: LogFormat } {
  const { WHERRY_LOG_LEVEL: level = 'info', WHERRY_LOG_FORMAT: format = 'text' } = env
  const least = severities.find((severity) => severity === level)
  if (least === undefined) throw new Error(`WHERRY_LOG_LEVEL=${level} is none of ${severities.join(', ')}`)
  if (format !== 'text' && format !== 'json') throw new Error(`WHERRY_LOG_FORMAT=${format} is neither text nor json`)
  return { least, format }
}

/** What an operator can do something about; anything else is a defect of ours. */
const isForeseen = (error: unknown): error is Error =>
  [ConfigError, StartError, ListenError, TlsError, StoreError, RemoteError].some((family) => error instanceof family) ||
  // What the system refused: its message names the call and the path.
  (error instanceof Error && 'syscall' in error)

function reasonOf(error: unknown): string {
  if (isForeseen(error)) return error.message
  return `a defect: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
}

function exitCodeOf(error: unknown): number {
  if (error instanceof StartError) return error.exitCode
  if (error instanceof ConfigError) return exitCodes.config
  return isForeseen(error) ? exitCodes.unavailable : exitCodes.software
}

/** The reason goes to whoever started the process, or to stderr when that is a person. */
async function fail(daemon: Daemon, reason: string, exitCode: number): Promise<void> {
  if (!process.send) process.stderr.write(`${daemon.name}: ${reason}\n`)
  await report({ type: 'failed', reason, exitCode })
  process.exit(exitCode)
}
