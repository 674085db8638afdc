/**
 * Rights of users who are not here yet, until they are: a later user of that name who comes from elsewhere does not get them. One file for each user and owner,
 * beside the mail. docs/decisions/0286-quota-and-rights-of-the-old-server.md
 */
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreError } from '../base/errors.ts'
import type { MailboxId, UserId } from '../base/ids.ts'
import { type RecordDirectory, recordDirectory } from '../base/record-directory.ts'

export interface AwaitedRight {
  readonly mailbox: MailboxId
  /** Its name when it was noted. */
  readonly name: string
  /** As lists here have it: the user's id, with `-` before it where rights are taken. */
  readonly identifier: string
  /** Letters. */
  readonly rights: string
}

export interface AwaitedRights {
  /** Who gets them. */
  readonly user: UserId
  readonly owner: UserId
  readonly rights: readonly AwaitedRight[]
}

/** Of the directory, beside the records of migrations. */
export const awaitedRightsName = 'awaited-rights'

const version = 1
/** For errors. */
const what = 'the rights of users who are not here yet'

export class AwaitedRightsDirectory {
  readonly #directory: string

  /** Does no I/O yet. */
  constructor(directory: string) {
    this.#directory = directory
  }

  /** To what is noted of the two; answers all of it. Durable when it resolves. Of one owner one call at a time. Throws StoreError unavailable. */
  async add({ user, owner, rights }: AwaitedRights): Promise<AwaitedRights> {
    const files = this.#of(user)
    const octets = await files.read(fileName(owner))
    const before = (octets === undefined ? undefined : read(octets))?.rights ?? []
    const isNew = ({ mailbox, identifier }: AwaitedRight) =>
      !rights.some((right) => right.mailbox === mailbox && right.identifier === identifier)
    const awaited = { user, owner, rights: [...before.filter(isNew), ...rights] }
    await files.put(fileName(owner), Buffer.from(`${JSON.stringify({ version, ...awaited })}\n`))
    return awaited
  }

  /** Of all owners. What can't be read gives nobody a right. Throws StoreError unavailable. */
  async *for(user: UserId): AsyncGenerator<AwaitedRights> {
    yield* allIn(this.#of(user))
  }

  /** Of everybody. Throws StoreError unavailable. */
  async *all(): AsyncGenerator<AwaitedRights> {
    const names = await readdir(this.#directory).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return []
      throw new StoreError('unavailable', `${what}: ${cause.message}`, { cause })
    })
    for (const name of names) yield* allIn(recordDirectory(join(this.#directory, name), what))
  }

  /** The owner has another id now. Throws StoreError unavailable; done again it does nothing. */
  async renameOwner(from: UserId, to: UserId): Promise<void> {
    for await (const { user, owner, rights } of this.all()) {
      if (owner !== from) continue
      await this.add({ user, owner: to, rights })
      await this.forget({ user, owner: from })
    }
  }

  /** Throws StoreError unavailable. */
  async forget({ user, owner }: Pick<AwaitedRights, 'user' | 'owner'>): Promise<void> {
    await this.#of(user)
      .remove(fileName(owner))
      .catch((error: unknown) => {
        if (!(error instanceof StoreError) || error.kind !== 'not-found') throw error
      })
  }

  #of(user: UserId) {
    return recordDirectory(join(this.#directory, nameOf(user)), what)
  }
}

async function* allIn(files: RecordDirectory): AsyncGenerator<AwaitedRights> {
  for await (const { octets } of files.list()) {
    const awaited = read(octets)
    if (awaited !== undefined) yield awaited
  }
}

const read = (octets: Buffer): AwaitedRights | undefined => {
  try {
    const { version: written, user, owner, rights } = JSON.parse(octets.toString('utf8'))
    const isWhole =
      written === version && typeof user === 'string' && typeof owner === 'string' && Array.isArray(rights)
    return isWhole ? { user: user as UserId, owner: owner as UserId, rights } : undefined
  } catch {
    return undefined
  }
}

const nameOf = (userId: UserId): string => createHash('sha256').update(userId).digest('hex')
const fileName = (owner: UserId): string => `${nameOf(owner)}.json`
