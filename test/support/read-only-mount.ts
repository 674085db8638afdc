/** A directory seen through a mount that takes no writes. Needs root. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface ReadOnlyMount extends Disposable {
  readonly directory: string
}

export function readOnlyMount(target: string): ReadOnlyMount {
  const directory = mkdtempSync(join(tmpdir(), 'wherry-mount-'))
  const mount = (...words: string[]) => execFileSync('mount', words, { stdio: ['ignore', 'ignore', 'pipe'] })
  try {
    mount('--bind', target, directory)
    mount('-o', 'remount,ro,bind', directory)
  } catch (error) {
    rmdirSync(directory)
    throw new Error(`mount: ${error instanceof Error ? error.message : error}`)
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
