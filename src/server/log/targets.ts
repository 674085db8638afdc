/** Where lines go. LOG-05 */
import { closeSync, fchmodSync, openSync, writeSync } from 'node:fs'
import type { LogTarget } from './log.ts'

/** pipe(7): more than this may be torn apart where several processes write to one pipe. */
const atomicOctets = 4096

/** Lines of one turn of the event loop, written together; when the process ends, what is there goes out first. */
class Gathered {
  readonly #fd: () => number
  #lines = ''
  #octets = 0

  constructor(fd: () => number) {
    this.#fd = fd
    process.once('exit', () => this.flush())
  }

  add(line: string): void {
    const octets = Buffer.byteLength(line)
    if (this.#octets + octets > atomicOctets) this.flush()
    if (this.#lines === '') setImmediate(() => this.flush())
    this.#lines += line
    this.#octets += octets
  }

  flush(): void {
    if (this.#lines !== '') write(this.#fd(), this.#lines)
    this.#lines = ''
    this.#octets = 0
  }
}

const gatheredForStderr = new Gathered(() => 2)

/** stderr; whoever reads it may go away. */
export const stderrTarget: LogTarget = {
  write(line) {
    gatheredForStderr.add(line)
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
  readonly #gathered = new Gathered(() => this.#fd)
  #fd: number

  /** `open` answers a descriptor (`openLogFile`). Throws when it does. */
  constructor(open: () => number) {
    this.#open = open
    this.#fd = open()
  }

  write(line: string): void {
    this.#gathered.add(line)
  }

  /** Throws when the file can't be opened; the old one stays in use then. */
  reopen(): void {
    const fd = this.#open()
    this.#gathered.flush()
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
