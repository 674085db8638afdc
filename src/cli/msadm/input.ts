/** Standard input, line by line: commands, and the passwords that `-p -` asks for. */
import { execFileSync } from 'node:child_process'
import type { Readable } from 'node:stream'

/** More than any command has. */
const maxLineOctets = 64 * 1024

export class LineTooLong extends Error {
  override readonly name = 'LineTooLong'
}

export interface Lines {
  /** The next line without LF or CR LF; undefined at the end. Throws LineTooLong. */
  next(): Promise<Buffer | undefined>
  /** Number of the last line, from 1. */
  readonly number: number
}

export const readLines = (input: Readable): Lines => {
  const chunks = input[Symbol.asyncIterator]()
  let rest: Buffer = Buffer.alloc(0)
  let ended = false
  let number = 0
  const line = (octets: Buffer) => {
    number++
    return octets.at(-1) === 13 ? octets.subarray(0, -1) : octets
  }
  return {
    get number() {
      return number
    },
    next: async () => {
      let searched = 0
      for (;;) {
        const end = rest.indexOf(10, searched)
        if (end >= 0) {
          const octets = rest.subarray(0, end)
          rest = rest.subarray(end + 1)
          return line(octets)
        }
        if (rest.length > maxLineOctets)
          throw new LineTooLong(`line ${number + 1} has more than ${maxLineOctets} octets`)
        if (ended) {
          if (rest.length === 0) return undefined
          const octets = rest
          rest = Buffer.alloc(0)
          return line(octets)
        }
        searched = rest.length
        const chunk = await chunks.next()
        if (chunk.done) ended = true
        else rest = Buffer.concat([rest, chunk.value as Buffer])
      }
    },
  }
}

/** Runs `read` while the terminal on standard input, if it is one, does not show what is typed. */
export const withoutEcho = async <T>(
  input: Readable & { readonly isTTY?: boolean },
  read: () => Promise<T>,
): Promise<T> => {
  if (!input.isTTY) return read()
  execFileSync('stty', ['-echo'], { stdio: ['inherit', 'ignore', 'ignore'] })
  try {
    return await read()
  } finally {
    execFileSync('stty', ['echo'], { stdio: ['inherit', 'ignore', 'ignore'] })
  }
}
