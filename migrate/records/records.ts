/** Where the records of migrations lie, for whatever runs in ms_syncd. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import { recordDirectory } from '#src/base/record-directory.ts'
import { formatRecord, type MigrationRecord, readRecord } from './record.ts'

export interface ListedRecords {
  readonly records: readonly MigrationRecord[]
  /** What is wrong with those that can't be read. */
  readonly damaged: readonly string[]
}

/** Every change is durable when its promise resolves. One process has one of these: changes of a record come one behind the other. */
export class MigrationRecords {
  readonly #directory: string
  readonly #files: ReturnType<typeof recordDirectory>
  readonly #changing = new Map<UserId, Promise<unknown>>()

  /** `directory`: `shared('migrations')` of an extension. Does no I/O yet. */
  constructor(directory: string) {
    this.#directory = directory
    this.#files = recordDirectory(directory, 'the records of migrations')
  }

  /** Throws StoreError damaged, unavailable. */
  async find(userId: UserId): Promise<MigrationRecord | undefined> {
    const name = fileName(userId)
    const octets = await this.#files.read(name)
    return octets === undefined ? undefined : readRecord(octets, join(this.#directory, name))
  }

  /** In no order. A record that can't be read hides no other. Throws StoreError unavailable. */
  async list(): Promise<ListedRecords> {
    const records: MigrationRecord[] = []
    const damaged: string[] = []
    for await (const { path, octets } of this.#files.list()) {
      try {
        records.push(readRecord(octets, path))
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        damaged.push(error.message)
      }
    }
    return { records, damaged }
  }

  /** `change` gets the record as it is, and answers it as it is to be; undefined: it stays. Throws StoreError, and what `change` throws. */
  async change(
    userId: UserId,
    change: (before: MigrationRecord | undefined) => MigrationRecord | undefined,
  ): Promise<MigrationRecord | undefined> {
    const before = this.#changing.get(userId) ?? Promise.resolve()
    const changed = before.then(async () => {
      const was = await this.find(userId)
      const next = change(was)
      if (next === undefined || next === was) return was
      await this.#files.put(fileName(userId), formatRecord(next))
      return next
    })
    const settled = changed.then(
      () => {},
      () => {},
    )
    this.#changing.set(userId, settled)
    settled.then(() => {
      if (this.#changing.get(userId) === settled) this.#changing.delete(userId)
    })
    return await changed
  }

  /** Throws StoreError not-found. */
  async forget(userId: UserId): Promise<void> {
    await this.#files.remove(fileName(userId))
  }
}

const fileName = (userId: UserId): string => `${createHash('sha256').update(userId).digest('hex')}.json`
