import type { ModSeq, Uid } from '../base/ids.ts'
import type { Chunk, PackedUidl } from './chunk.ts'
import type { Flag, MessageRecord } from './types.ts'

export function packUidl(uidl: string | undefined, origin: string | undefined): PackedUidl {
  if (uidl === undefined) return null
  return uidl !== '' && origin?.endsWith(uidl) === true ? uidl.length : uidl
}

/** A look at one row of a chunk. Made when asked for; stays what it is when the mailbox moves on. */
export class StoredMessage implements MessageRecord {
  private readonly chunk: Chunk
  private readonly row: number
  readonly flags: ReadonlySet<Flag>

  constructor(chunk: Chunk, row: number, sets: readonly ReadonlySet<Flag>[]) {
    this.chunk = chunk
    this.row = row
    this.flags = sets[chunk.columns.flags[row]!]!
  }

  get uid(): Uid {
    return this.chunk.columns.uids[this.row]! as Uid
  }
  get file(): string {
    return this.chunk.fileOf(this.row)
  }
  get sizeOctets(): number {
    return this.chunk.columns.sizes[this.row]!
  }
  get internalDate(): number {
    return this.chunk.columns.internalDates[this.row]!
  }
  get modSeq(): ModSeq {
    return this.chunk.columns.modSeqs[this.row]! as ModSeq
  }
  /** MODSEQ of the change set that added it. */
  get addedModSeq(): ModSeq {
    return this.chunk.columns.addedModSeqs[this.row]! as ModSeq
  }
  get isHere(): boolean {
    return this.chunk.isHere(this.row)
  }
  get digest(): string {
    return this.chunk.digestOf(this.row)
  }
  get origin(): string | undefined {
    return this.chunk.originOf(this.row)
  }
  get uidl(): string | undefined {
    return this.chunk.uidlOf(this.row)
  }
}
