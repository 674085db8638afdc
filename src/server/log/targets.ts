/** Where lines go. LOG-05 */
import { closeSync, openSync, writeSync } from 'node:fs'
import type { LogTarget } from './log.ts'

/** stderr; whoever reads it may go away. */
export const stderrTarget: LogTarget = {
  write(line) {
    write(2, line)
  },
}

/** A file that grows; `reopen` goes on in a new one after rotation. */
export class FileTarget implements LogTarget {
  readonly #path: string
  #fd: number

  /** Throws when the file can't be opened. */
  constructor(path: string) {
    this.#path = path
    this.#fd = openSync(path, 'a', 0o640)
  }

  write(line: string): void {
    write(this.#fd, line)
  }

  /** Throws when the file can't be opened; the old one stays in use then. */
  reopen(): void {
    const fd = openSync(this.#path, 'a', 0o640)
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
