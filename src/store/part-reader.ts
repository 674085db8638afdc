/**
 * A thread that reads small parts of files, many for one trip. A trip through Node's own pool costs ten times what reading a small file does that the system has
 * in its memory, and each file needs two of them; reading at once would stop everybody when a disk is slow. docs/decisions/0330-a-thread-that-reads.md
 */

import fs from 'node:fs'
import { parentPort } from 'node:worker_threads'
import { openRegularNow } from './regular-file.ts'

/** Octets [start, start + length) of a file. */
export interface PartWanted {
  readonly path: string
  readonly start: number
  readonly length: number
}

export type PartOutcome =
  | { readonly sizeOctets: number; readonly at: number; readonly length: number }
  | { readonly code: string; readonly message: string }

export interface PartsRead {
  readonly octets: ArrayBuffer
  /** One for each that was wanted, in order: where its octets are in `octets`, or why there are none. */
  readonly outcomes: readonly PartOutcome[]
  /** What the disk took. */
  readonly ms: number
}

parentPort?.on('message', (wanted: readonly PartWanted[]) => {
  // Not from Node's pool, which can't be given away.
  const buffer = Buffer.allocUnsafeSlow(wanted.reduce((sum, { length }) => sum + length, 0))
  const octets = buffer.buffer
  const start = performance.now()
  let at = 0
  const outcomes = wanted.map((part): PartOutcome => {
    const outcome = readNow(part, buffer, at)
    at += part.length
    return outcome
  })
  const read: PartsRead = { octets, outcomes, ms: performance.now() - start }
  parentPort!.postMessage(read, [octets])
})

function readNow({ path, start, length }: PartWanted, into: Buffer, at: number): PartOutcome {
  try {
    const { fd, sizeOctets } = openRegularNow(path)
    try {
      let filled = 0
      while (filled < length) {
        const count = fs.readSync(fd, into, at + filled, length - filled, start + filled)
        if (count === 0) break
        filled += count
      }
      return { sizeOctets, at, length: filled }
    } finally {
      fs.closeSync(fd)
    }
  } catch (error) {
    const { code = 'EIO', message } = error as NodeJS.ErrnoException
    return { code, message }
  }
}
