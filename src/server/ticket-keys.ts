/**
 * Keys of TLS session tickets, in a file of the service: a client that comes back resumes its session with whichever worker takes it, and after a restart. They are
 * replaced twice a day, since who has them can read what was sent under TLS 1.2 meanwhile. RFC 5077 §5.5, docs/decisions/0196-session-tickets.md
 */
import { randomBytes } from 'node:crypto'
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import type { Clock } from '../base/clock.ts'

export interface TicketKeys {
  /** 48 octets for `setTicketKeys`; undefined: the same as the last time, or Node's own, of this process. */
  current(): Promise<Buffer | undefined>
}

const octets = 48
const lifetimeMs = 12 * 60 * 60_000
/** Between looks at the file. */
const lookMs = 60_000

/** Not shared with anybody. */
export const ownTicketKeys: TicketKeys = { current: async () => undefined }

export const sharedTicketKeys = (file: string, clock: Clock): TicketKeys => {
  let lookedAt: number | undefined
  let looking: Promise<Buffer | undefined> | undefined
  let known: Buffer | undefined
  const look = async () => {
    const keys = (await readKeys(file, clock)) ?? (await makeKeys(file, clock))
    lookedAt = clock.monotonic()
    if (keys === undefined || known?.equals(keys)) return undefined
    known = keys
    return keys
  }
  return {
    current: async () => {
      if (looking === undefined && lookedAt !== undefined && clock.monotonic() - lookedAt < lookMs) return undefined
      looking ??= look().finally(() => {
        looking = undefined
      })
      return looking
    },
  }
}

/** Undefined when they are missing or too old. */
const readKeys = async (file: string, clock: Clock): Promise<Buffer | undefined> => {
  try {
    const [{ mtimeMs }, keys] = await Promise.all([stat(file), readFile(file)])
    return keys.length === octets && Math.abs(clock.now() - mtimeMs) < lifetimeMs ? keys : undefined
  } catch {
    return undefined
  }
}

/** Of several processes at once the last one's count; the others find them at their next look. Undefined: the file can't be written, and each has its own. */
const makeKeys = async (file: string, clock: Clock): Promise<Buffer | undefined> => {
  const keys = randomBytes(octets)
  const fresh = `${file}.${process.pid}.${clock.now()}`
  try {
    await writeFile(fresh, keys, { mode: 0o600, flag: 'wx' })
    await rename(fresh, file)
    return keys
  } catch {
    await rm(fresh, { force: true }).catch(() => undefined)
    return undefined
  }
}
