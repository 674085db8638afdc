/**
 * What the account's log remembers of messages that did not go into the store as they are: those that a submission server took, until they come
 * back, and the digests of originals, where a synchronisation compares them.
 */
import type { Account } from '#src/store/types.ts'

export interface Injected {
  /** Seconds since 1970; undefined: it was stored directly. */
  readonly submittedAt?: number | undefined
  /** SHA-256 of what the backend has, base64url. */
  readonly digest?: string | undefined
}

const keyOf = (origin: string): string => `injected ${origin}`

/** By origin, of the origins that begin so. */
export const readInjected = async (account: Account, prefix: string): Promise<ReadonlyMap<string, Injected>> => {
  const entries = await account.entries(keyOf(prefix))
  return new Map(
    [...entries].flatMap(([key, value]) =>
      typeof value === 'object' && value !== null ? [[key.slice(keyOf('').length), value as Injected]] : [],
    ),
  )
}

export const forgetInjected = async (account: Account, origins: readonly string[]): Promise<void> => {
  if (origins.length > 0) await account.put(Object.fromEntries(origins.map((origin) => [keyOf(origin), undefined])))
}

/** Writes what comes while one change set is being made durable in the next one. */
export class Journal {
  readonly #account: Account
  #waiting: { readonly values: Record<string, Injected>; readonly written: Promise<void> } | undefined
  #writing: Promise<unknown> = Promise.resolve()

  constructor(account: Account) {
    this.#account = account
  }

  /** Resolves when it is durable. Throws StoreError. */
  record(origin: string, injected: Injected): Promise<void> {
    if (this.#waiting === undefined) {
      const values: Record<string, Injected> = {}
      const written = this.#writing.then(() => {
        this.#waiting = undefined
        return this.#account.put(values)
      })
      this.#waiting = { values, written }
      this.#writing = written.catch(() => {})
    }
    this.#waiting.values[keyOf(origin)] = injected
    return this.#waiting.written
  }
}
