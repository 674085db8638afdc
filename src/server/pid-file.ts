/** `<run_dir>/<daemon>.pid`: who runs, for `mbox` and for a second start. SRV-03 */
import { linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exitCodes } from './process.ts'
import { StartError } from './supervision.ts'

const pidFilePath = (runDirectory: string, name: string): string => join(runDirectory, `${name}.pid`)

/** Process id of the running `name`; undefined when it does not run, whatever a killed one left in the file. */
export function findRunning(runDirectory: string, name: string): number | undefined {
  let text: string
  try {
    text = readFileSync(pidFilePath(runDirectory, name), 'latin1')
  } catch {
    return undefined
  }
  const pid = /^[1-9][0-9]{0,9}\n$/.test(text) ? Number(text) : undefined
  return pid !== undefined && isRunning(pid, name) ? pid : undefined
}

/** Makes `run_dir` when it is missing. Throws StartError. */
export function makeRunDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o755 })
  } catch (error) {
    throw new StartError(
      `run_dir: ${path} can't be made: ${(error as Error).message}; make it, or name another`,
      exitCodes.unavailable,
    )
  }
}

/** Answers how to remove it. Throws StartError when `name` runs already, Error when the file can't be made. */
export function claimPidFile(runDirectory: string, name: string): () => void {
  const path = pidFilePath(runDirectory, name)
  const draft = `${path}.${process.pid}`
  makeRunDirectory(runDirectory)
  writeFileSync(draft, `${process.pid}\n`, { mode: 0o644 })
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        linkSync(draft, path)
        break
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt > 0) throw error
        const pid = findRunning(runDirectory, name)
        if (pid !== undefined && pid !== process.pid)
          throw new StartError(
            `${name} runs already (process ${pid}, ${path}); stop it first, or give this one another run_dir`,
            exitCodes.unavailable,
          )
        unlinkSync(path)
      }
    }
  } finally {
    unlinkSync(draft)
  }
  return () => {
    if (findRunning(runDirectory, name) === process.pid) unlinkSync(path)
  }
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
    // No /proc on this system: take the number's word.
    return true
  }
}
