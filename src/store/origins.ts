/** What a mailbox knows of origins: of its messages, of those that left, and of those of which a loss left only the hash. */

import type { ModSeq, Uid } from '../base/ids.ts'
import type { AnnouncedRow } from './chunk-builder.ts'
import { isCopy } from './copy-origin.ts'
import { originHash } from './message-file.ts'
import type { MessageTable, Row, Rows } from './message-table.ts'
import { hashOrigin, OriginIndex } from './origin-index.ts'
import { OriginMap } from './origin-map.ts'
import type { ExpungeCause, OriginState } from './types.ts'

export type Departed = OriginState & { readonly present: false }

export class Origins {
  readonly departed: OriginMap<Departed>
  /** By hash: of messages, and of some that left. */
  readonly hashed: Map<string, Uid>
  readonly departedHashed: OriginMap<Departed>
  private readonly table: MessageTable
  /** Of the messages in `table`; made when somebody asks. */
  private index: OriginIndex | undefined

  /** What is known beside the messages is taken over. */
  constructor(
    table: MessageTable,
    departed = new OriginMap<Departed>(),
    departedHashed = new OriginMap<Departed>(),
    hashed: readonly (readonly [hash: string, uid: number])[] = [],
  ) {
    this.table = table
    this.departed = departed
    this.departedHashed = departedHashed
    this.hashed = new Map(hashed as readonly (readonly [string, Uid])[])
  }

  stateOf(origin: string): OriginState | undefined {
    const uid = this.uidOf(origin)
    if (uid !== undefined) return { present: true, uid }
    const departed = this.departed.get(origin)
    if (departed !== undefined || this.hashed.size + this.departedHashed.size === 0) return departed
    const hash = originHash(origin)
    const hashed = this.hashed.get(hash)
    return hashed === undefined ? this.departedHashed.get(hash) : { present: true, uid: hashed }
  }

  /** Whether `stateOf` an origin with this hash (`hashOrigin`) may tell something. */
  mayKnow(hash: number): boolean {
    if (this.departed.size + this.hashed.size + this.departedHashed.size > 0) return true
    return this.withHash(hash, () => true) !== undefined
  }

  /** Only the hash of this origin is known. */
  isHashed(origin: string): boolean {
    if (this.hashed.size + this.departedHashed.size === 0) return false
    const hash = originHash(origin)
    return this.hashed.has(hash) || this.departedHashed.has(hash)
  }

  /** Of the message of this origin in the table. */
  uidOf(origin: string): Uid | undefined {
    return this.withHash(hashOrigin(origin), ({ chunk, row }) => chunk.originOf(row) === origin)
  }

  private withHash(hash: number, isIt: (row: Row) => boolean): Uid | undefined {
    this.index ??= new OriginIndex([...this.table.hashedUids()])
    return this.index.find(hash, (uid) => {
      const found = this.table.find(uid)
      return found !== undefined && found.chunk.columns.origins?.hashes[found.row] === hash && isIt(found)
    }) as Uid | undefined
  }

  /** A message came into the table. */
  arrived(uid: Uid, origin: string | undefined, hash: string | undefined): void {
    if (origin !== undefined) this.remember(origin, uid)
    else if (hash !== undefined) this.hashed.set(hash, uid)
  }

  /** These came into the table. */
  announced(rows: readonly AnnouncedRow[]): void {
    for (const { uid, hash } of rows) this.indexed(hash, uid)
  }

  /**
   * Somebody came with an origin of which only the hash was known. Answers the UID of the message that has it; undefined when that left.
   */
  learn(origin: string): Uid | undefined {
    const hash = originHash(origin)
    const uid = this.hashed.get(hash)
    if (uid === undefined) {
      this.departed.set(origin, this.departedHashed.get(hash)!)
      this.departedHashed.delete(hash)
      return undefined
    }
    this.hashed.delete(hash)
    this.remember(origin, uid)
    return uid
  }

  /** A message of the table has another origin from now on; what it had is not known any more. */
  renamed({ chunk, row }: Row, origin: string): void {
    const uid = chunk.columns.uids[row]! as Uid
    const short = chunk.columns.origins?.hashes[row] ?? 0
    const hash = short === 0 && this.hashed.size > 0 ? chunk.originHashOf(row) : undefined
    if (short !== 0) this.index?.remove(short, uid)
    if (hash !== undefined) this.hashed.delete(hash)
    this.remember(origin, uid)
  }

  /** Messages leave the table; their origins are remembered. Nobody will come with that of a copy. */
  left(rows: Rows, cause: ExpungeCause, modSeq: ModSeq): void {
    this.forgetRows(
      rows,
      (uid, origin) => {
        if (!isCopy(origin)) this.departed.set(origin, { present: false, uid, cause, modSeq })
      },
      (uid, hash) => this.departedHashed.set(hash, { present: false, uid, cause, modSeq }),
    )
  }

  /** Messages leave the table as if they had never been there. */
  dropped(rows: Rows): void {
    this.forgetRows(
      rows,
      () => {},
      () => {},
    )
  }

  private forgetRows(
    { chunk, rows }: Rows,
    named: (uid: Uid, origin: string) => void,
    hashed: (uid: Uid, hash: string) => void,
  ): void {
    const { uids, origins } = chunk.columns
    if (origins === undefined) return
    for (const row of rows) {
      const uid = uids[row]! as Uid
      const short = origins.hashes[row]!
      if (short !== 0) {
        this.index?.remove(short, uid)
        named(uid, chunk.originOf(row)!)
        continue
      }
      const hash = this.hashed.size === 0 ? undefined : chunk.originHashOf(row)
      if (hash !== undefined && this.hashed.delete(hash)) hashed(uid, hash)
    }
  }

  private remember(origin: string, uid: Uid): void {
    if (this.index !== undefined) this.indexed(hashOrigin(origin), uid)
  }

  private indexed(hash: number, uid: number): void {
    // Made anew, larger, at the next question.
    if (this.index?.isFull === true) this.index = undefined
    this.index?.add(hash, uid)
  }
}
