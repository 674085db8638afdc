/** Where an account was last seen, and work on it that survives its being moved elsewhere. */

import { StoreError } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { StoreContext } from './context.ts'
import { codeOf, storeError, unlessAbsent } from './fs.ts'
import { accountDirectory } from './names.ts'
import type { Places } from './places.ts'

export class Residence {
  readonly userId: UserId
  private readonly context: StoreContext
  private readonly places: Places
  private readonly directory: string
  private readonly left: () => void
  private at: string | undefined

  /** `left`: what was opened where the account was before is of no use any more. */
  constructor(
    context: StoreContext,
    places: Places,
    userId: UserId,
    left: () => void,
    directory: string = accountDirectory(userId),
  ) {
    this.context = context
    this.places = places
    this.userId = userId
    this.left = left
    this.directory = directory
    if (places.partitions.single) this.at = places.partitions.home
  }

  /** With one root that one, whether the account is there or not. With several undefined for an account that does not exist. */
  private get found(): string | undefined {
    return this.at
  }
  private set found(root: string | undefined) {
    if (root === this.at) return
    this.at = root
    this.left()
  }

  get path(): string {
    return this.in(this.found ?? this.places.partitions.home)
  }

  async isThere(): Promise<boolean> {
    return (await unlessAbsent(this.context.fs.status(`${this.path}/log`))) !== undefined
  }

  /** For what looks like an absence when it is not one: a tree in the middle of which the account was moved away. Throws StoreError not-found. */
  async check(): Promise<void> {
    if (this.places.partitions.single || this.found === undefined || (await this.isThere())) return
    throw new StoreError('not-found', 'The account does not exist')
  }

  async exists(): Promise<boolean> {
    if (await this.isThere()) return true
    if (this.places.partitions.single) return false
    this.found = await this.places.find(this.userId)
    return this.found !== undefined
  }

  /** Where it lives, or would be made. */
  async locate(): Promise<{ readonly root: string; readonly path: string; readonly exists: boolean }> {
    const exists = await this.exists()
    const root = this.found ?? (await this.places.partitions.choose(this.userId))
    return { root, path: this.in(root), exists }
  }

  /** Makes the account with several roots, complete from the first moment. `make` makes one in an empty directory. */
  async make(make: (directory: string) => Promise<void>): Promise<void> {
    this.found = await this.places.make(this.userId, make)
  }

  get isSingle(): boolean {
    return this.places.partitions.single
  }

  /** Looks for the account before the work, and does the work once more when it was moved meanwhile. Disk errors become StoreErrors. */
  async doing<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      if (this.found === undefined) this.found = await this.places.find(this.userId)
      const before = this.found
      return await work().catch(async (error: unknown) => {
        if (!isAbsence(error) || !(await this.isElsewhere(before))) throw error
        return await work()
      })
    } catch (error) {
      throw storeError(error, what)
    }
  }

  /** Throws StoreError unavailable while the account is being moved. */
  private async isElsewhere(before: string | undefined): Promise<boolean> {
    if (this.found !== before) return true
    if (this.places.partitions.single || (await this.isThere())) return false
    this.found = await this.places.find(this.userId)
    return this.found !== before
  }

  private in(root: string): string {
    return `${root}/${this.directory}`
  }
}

/** What is asked of an account that was moved away answers one of these. */
function isAbsence(error: unknown): boolean {
  if (error instanceof StoreError && error.kind === 'not-found') return true
  return codeOf(error instanceof StoreError ? error.cause : error) === 'ENOENT'
}
