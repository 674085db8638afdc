import { randomBytes } from 'node:crypto'

/** 80 random bits of this process, so that no name of another process or machine, before or after a restart, is the same. */
const processDigits = 16
const processPart = BigInt(`0x${randomBytes(10).toString('hex')}`)
  .toString(36)
  .padStart(processDigits, '0')
let counter = 0

/** A name that nothing else in the world has: lower-case letters and digits, at most 32. */
export function uniqueName(): string {
  counter += 1
  return processPart + counter.toString(36)
}

/** What all unique names of one process have in common. */
export function processOf(name: string): string {
  return name.slice(0, processDigits)
}

/** 128 random bits in lower-case hex: the identity of a mailbox. */
export function randomId(): string {
  return randomBytes(16).toString('hex')
}
