/** A directory seen through a mount that believes what it saw for a while, as a network file system does. Needs root (or fusermount3) and bindfs. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface StaleMount extends Disposable {
  readonly directory: string
}

/** `seconds`: how long attributes, names and absences are believed without asking again. */
export function staleMount(target: string, seconds: number): StaleMount {
  const directory = mkdtempSync(join(tmpdir(), 'wherry-mount-'))
  const options = `attr_timeout=${seconds},entry_timeout=${seconds},negative_timeout=${seconds},kernel_cache`
  try {
    execFileSync('bindfs', ['--multithreaded', '-o', options, target, directory], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
  } catch (error) {
    rmdirSync(directory)
    throw new Error(`bindfs: ${error instanceof Error ? error.message : error}`)
  }
  return {
    directory,
    [Symbol.dispose]() {
      // Lazily: what a service that is ending still has open goes with it.
      execFileSync('umount', ['--lazy', directory])
      rmdirSync(directory)
    },
  }
}
