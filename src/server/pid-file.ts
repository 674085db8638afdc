/** `<run_dir>/<daemon>.pid`: who runs, for `mbox` and for a second start. SRV-03 */
import { chmodSync, linkSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config/config.ts'
import { directoryFault } from './ms-user.ts'
import { exitCodes } from './process.ts'
import { StartError } from './supervision.ts'

const pidFilePath = (runDirectory: string, name: string): string => join(runDirectory, `${name}.pid`)

export type PidState =
  /** There is no file, or a killed process left it. */
  | { readonly kind: 'stopped' }
  | { readonly kind: 'running'; readonly pid: number }
  /** The file can't be read: it may run. `reason` says why and what to do. */
  | { readonly kind: 'unknown'; readonly reason: string }

/** Whether `name` runs, as its pid file and the system say. */
export function pidStateOf(runDirectory: string, name: string): PidState {
  const path = pidFilePath(runDirectory, name)
  let text: string
  try {
    text = readFileSync(path, 'latin1')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'stopped' }
    return { kind: 'unknown', reason: `${path} can't be read (${code ?? message}); ask as ${ownerOf(path)}` }
  }
  const pid = /^[1-9][0-9]{0,9}\n$/.test(text) ? Number(text) : undefined
  return pid !== undefined && isRunning(pid, name) ? { kind: 'running', pid } : { kind: 'stopped' }
}

/** Who may read the file. */
function ownerOf(path: string): string {
  try {
    const { uid } = statSync(path)
    return uid === 0 ? 'root' : `root, or as the user with the id ${uid}`
  } catch {
    return 'root, or as ms_user'
  }
}

/**
 * Makes the pid file of this process; answers how to remove it. Throws StartError when `name` runs already, when it can't be
 * told whether it does, and when the file can't be made.
 */
export function claimPidFile(config: Config, name: string): () => void {
  const runDirectory = config.get('run_dir')
  const path = pidFilePath(runDirectory, name)
  const draft = `${path}.${process.pid}`
  try {
    writeFileSync(draft, `${process.pid}\n`)
    // Everybody may know: whoever can't read it can't tell a running service from a stopped one.
    chmodSync(draft, 0o644)
  } catch (error) {
    throw new StartError(directoryFault(config, 'run_dir', error as Error), exitCodes.unavailable)
  }
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        linkSync(draft, path)
        break
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt > 0) throw error
        refuseSecond(runDirectory, name)
        unlinkSync(path)
      }
    }
  } finally {
    unlinkSync(draft)
  }
  return () => {
    const state = pidStateOf(runDirectory, name)
    if (state.kind === 'running' && state.pid === process.pid) unlinkSync(path)
  }
}

/** Throws StartError unless the pid file is one that a killed process left. */
export function refuseSecond(runDirectory: string, name: string): void {
  const state = pidStateOf(runDirectory, name)
  if (state.kind === 'stopped' || (state.kind === 'running' && state.pid === process.pid)) return
  const path = pidFilePath(runDirectory, name)
  throw new StartError(
    state.kind === 'running'
      ? `${name} runs already (process ${state.pid}, ${path}); stop it first, or give this one another run_dir`
      : `${name} may be running: ${state.reason}, stop it there, or give this one another run_dir`,
    exitCodes.unavailable,
  )
}

/** Whether the process is alive, and not another program that got the number later. */
export function isRunning(pid: number, name: string): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  if (pid === process.pid) return true
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(`/${name}/main.ts`)
  } catch {
    // No /proc on this system, or one that shows only one's own: take the number's word.
    return true
  }
}
