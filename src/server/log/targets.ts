/** Where lines go. LOG-05 */
import { closeSync, fchmodSync, openSync, writeSync } from 'node:fs'
import type { LogTarget } from './log.ts'

/** stderr; whoever reads it may go away. */
export const stderrTarget: LogTarget = {
  write(line) {
    write(2, line)
  },
}

/** Answers the descriptor of a log that is continued, or begun: its user writes it, its group reads it. Throws when it can't be opened. */
export function openLogFile(path: string): number {
  try {
    const fd = openSync(path, 'ax', 0o640)
    // The umask of a service leaves nothing to the group.
    fchmodSync(fd, 0o640)
    return fd
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return openSync(path, 'a')
  }
}

/** A file that grows; `reopen` goes on in a new one after rotation. */
export class FileTarget implements LogTarget {
  readonly #open: () => number
  #fd: number

  /** `open` answers a descriptor (`openLogFile`). Throws when it does. */
  constructor(open: () => number) {
    this.#open = open
    this.#fd = open()
  }

  write(line: string): void {
    write(this.#fd, line)
  }

  /** Throws when the file can't be opened; the old one stays in use then. */
  reopen(): void {
    const fd = this.#open()
    closeSync(this.#fd)
    this.#fd = fd
  }
}

/** A record that can't be written (disk full, reader gone, pipe full) is lost rather than an end to the service. */
function write(fd: number, line: string): void {
  try {
    writeSync(fd, line)
  } catch {}
}
