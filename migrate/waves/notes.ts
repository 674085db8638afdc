/** What waves know of one user beside the migration record: what the old servers have, how the last pass went, and what came behind the cutover. */
import { createHash } from 'node:crypto'
import { StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import { recordDirectory } from '#src/base/record-directory.ts'
import type { Risk } from './risks.ts'

/** What one old server has of one user, by listings alone. */
export interface BackendCount {
  /** Without a user, for people: imap://old.example.org:143 */
  readonly url: string
  readonly host: string
  readonly mailboxes: number
  readonly messages: number
  readonly octets: number
  /** Octets of the largest message. */
  readonly largest: number
  /** Of a POP3 server: whether it knows UIDL. */
  readonly uidl?: boolean
}

export interface Inventory {
  readonly at: number
  /** From login to logout. */
  readonly ms: number
  readonly backends: readonly BackendCount[]
  readonly risks: readonly Risk[]
}

/** How the last pull, or delta, of a user ended. */
export interface Pass {
  readonly at: number
  readonly ms: number
  /** Messages and octets that came. */
  readonly messages: number
  readonly octets: number
  /** Members that were seen to at the same time. */
  readonly atOnce: number
  /** What this ms_syncd had pulled before, by `workOf`: it is slower at first. */
  readonly before?: number
  /** It did not come to its end. */
  readonly error?: string
}

/** A message that reached the old server behind the cutover. */
export interface Straggler {
  readonly at: number
  readonly mailbox: string
  readonly from: string
  readonly subject: string
}

export interface Notes {
  readonly userId: UserId
  readonly inventory?: Inventory
  /** The first that brought everything: what forecasts are made of. */
  readonly pulled?: Pass
  readonly pass?: Pass
  readonly stragglers?: readonly Straggler[]
  /** UIDNEXT of each mailbox by its id, as the last pass left it: what has come from the old server since is a straggler. */
  readonly places?: Readonly<Record<string, number>>
  /** Those that are not among `stragglers` any more are counted. */
  readonly stragglerCount?: number
}

/** Undefined removes. */
export type NotesChange = { readonly [K in keyof Omit<Notes, 'userId'>]?: Notes[K] | undefined }

const version = 1
/** Of a user; older ones are only counted. */
export const maxStragglers = 200

/** Every change is durable when its promise resolves. A user is seen to by one task at a time: nobody changes the notes of one twice at once. */
export class NotesDirectory {
  readonly #files: ReturnType<typeof recordDirectory>

  constructor(directory: string) {
    this.#files = recordDirectory(directory, 'the notes of waves')
  }

  /** What can't be read is nothing that was worth keeping: it is found out again. Throws StoreError unavailable. */
  async find(userId: UserId): Promise<Notes> {
    const octets = await this.#files.read(fileName(userId))
    return (octets === undefined ? undefined : read(octets, userId)) ?? { userId }
  }

  /** Throws StoreError unavailable. */
  async change(userId: UserId, changes: NotesChange): Promise<Notes> {
    const notes = { ...(await this.find(userId)), ...changes } as Notes
    await this.#files.put(fileName(userId), Buffer.from(`${JSON.stringify({ version, ...notes })}\n`))
    return notes
  }

  /** Throws StoreError unavailable. */
  async forget(userId: UserId): Promise<void> {
    await this.#files.remove(fileName(userId)).catch((error: unknown) => {
      if (!(error instanceof StoreError) || error.kind !== 'not-found') throw error
    })
  }
}

const read = (octets: Buffer, userId: UserId): Notes | undefined => {
  try {
    const { version: written, ...notes } = JSON.parse(octets.toString('utf8'))
    return written === version && notes.userId === userId ? notes : undefined
  } catch {
    return undefined
  }
}

const fileName = (userId: UserId): string => `${createHash('sha256').update(userId).digest('hex')}.json`
