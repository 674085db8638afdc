import type { ModSeq, Uid } from '../base/ids.ts'
import type { StoredMessage } from './record.ts'
import type { Flag, MessageList } from './types.ts'

/** The messages of one state of a mailbox. */
export class StoredMessages implements MessageList {
  private readonly records: readonly StoredMessage[]

  constructor(records: readonly StoredMessage[]) {
    this.records = records
  }

  get length(): number {
    return this.records.length
  }

  at(position: number): StoredMessage | undefined {
    return this.records[position]
  }

  uidAt(position: number): Uid {
    return this.records[position]!.uid
  }

  flagsAt(position: number): ReadonlySet<Flag> {
    return this.records[position]!.flags
  }

  sizeAt(position: number): number {
    return this.records[position]!.sizeOctets
  }

  internalDateAt(position: number): number {
    return this.records[position]!.internalDate
  }

  modSeqAt(position: number): ModSeq {
    return this.records[position]!.modSeq
  }

  originAt(position: number): string | undefined {
    return this.records[position]!.origin
  }

  uidlAt(position: number): string | undefined {
    return this.records[position]!.uidl
  }

  positionOf(uid: Uid): number {
    let low = 0
    let high = this.records.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.records[middle]!.uid < uid) low = middle + 1
      else high = middle
    }
    return low
  }

  byUid(uid: Uid): StoredMessage | undefined {
    const record = this.records[this.positionOf(uid)]
    return record?.uid === uid ? record : undefined
  }

  [Symbol.iterator](): Iterator<StoredMessage> {
    return this.records[Symbol.iterator]()
  }
}
