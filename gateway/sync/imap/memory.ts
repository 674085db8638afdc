/** What is remembered of an IMAP backend from pass to pass, in the account's own log. It becomes durable after what it stands for. */
import type { MailboxId, ModSeq, Uid } from '#src/base/ids.ts'
import type { Account } from '#src/store/types.ts'
import type { PassMark } from './observe.ts'
import type { Suspicion } from './plan.ts'
import type { Pair } from './tree.ts'

/** Numbers of change sets, both ends included. */
export type Numbers = readonly (readonly [from: number, to: number])[]

/** Where the last pass left one mailbox. */
export interface MailboxMark {
  /** Undefined: the next pass looks at everything. */
  readonly there: PassMark | undefined
  /** Every message there below this UID was seen here, or sent by us. */
  readonly seenBelow: number
  /** Change sets here up to this one were taken into account, and those in `own` were made by the gateway. */
  readonly here: ModSeq
  readonly own: Numbers
  /** UIDVALIDITY here: another one means that the log was lost, and with it what was given to it. */
  readonly uidValidityHere: number
  /** Something is left to do although nothing has changed. */
  readonly again?: true
  /** UIDs there that could not be fetched yet. */
  readonly pending?: readonly Uid[]
  readonly suspicion?: Suspicion
  /** Messages may have been sent that have no origin yet: among UIDs there from this one on. */
  readonly sentFrom?: number
  /** Since when (seconds since 1970), and in how many passes, messages of another UIDVALIDITY have not been found again. */
  readonly lost?: Suspicion
}

export interface KnownPair extends Pair {
  /** A RENAME there was begun from this path. */
  readonly formerPath?: string
  /** It was removed there, and is made again for what was put into it here: what came from there is gone. */
  readonly remade?: true
}

export interface TreeMemory {
  readonly pairs: readonly KnownPair[]
  readonly suspicion?: Suspicion
}

const treeKey = (url: string): string => `imap ${url}`
const markKey = (url: string, id: MailboxId): string => `imap ${url} ${id}`

export class BackendMemory {
  readonly #account: Account
  readonly #url: string

  constructor(account: Account, url: string) {
    this.#account = account
    this.#url = url
  }

  async tree(): Promise<TreeMemory> {
    return ((await this.#account.get(treeKey(this.#url))) as TreeMemory | undefined) ?? { pairs: [] }
  }

  async mark(id: MailboxId): Promise<MailboxMark | undefined> {
    return (await this.#account.get(markKey(this.#url, id))) as MailboxMark | undefined
  }

  /** All of it in one change set; undefined forgets. What is remembered already is not written again: most passes find nothing new. */
  async put(marks: ReadonlyMap<MailboxId, MailboxMark | undefined>, tree?: TreeMemory): Promise<void> {
    const values: Record<string, unknown> = {}
    for (const [id, mark] of marks) values[markKey(this.#url, id)] = mark
    if (tree !== undefined) values[treeKey(this.#url)] = tree
    for (const [key, value] of Object.entries(values))
      if (JSON.stringify(await this.#account.get(key)) === JSON.stringify(value)) delete values[key]
    if (Object.keys(values).length > 0) await this.#account.put(values)
  }
}

/** `more` are higher. */
export const joinedNumbers = (numbers: Numbers, more: Numbers): Numbers => {
  const [last, next] = [numbers.at(-1), more[0]]
  if (last === undefined || next === undefined || next[0] !== last[1] + 1) return [...numbers, ...more]
  return [...numbers.slice(0, -1), [last[0], next[1]], ...more.slice(1)]
}

export const isAmong = (numbers: Numbers, number: number): boolean =>
  numbers.some(([from, to]) => number >= from && number <= to)
