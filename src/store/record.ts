import type { ModSeq, Uid } from '../base/ids.ts'
import { type MessageFile, parseMessageFileName } from './message-file.ts'
import type { Flag, MessageRecord } from './types.ts'

/** A UIDL as the log has it: null for none, its length where it is the end of the origin, as mostly, else itself. */
export type PackedUidl = null | number | string

export function packUidl(uidl: string | undefined, origin: string | undefined): PackedUidl {
  if (uidl === undefined) return null
  return uidl !== '' && origin?.endsWith(uidl) === true ? uidl.length : uidl
}

/** A message in memory. Small, since a mailbox holds one for every message: what the file name tells is not kept twice where it can be cut out. */
export class StoredMessage implements MessageRecord {
  readonly uid: Uid
  readonly file: string
  readonly sizeOctets: number
  readonly internalDate: number
  readonly flags: ReadonlySet<Flag>
  readonly modSeq: ModSeq
  /** MODSEQ of the change set that added it. */
  readonly addedModSeq: ModSeq
  readonly origin: string | undefined
  readonly uidl: string | undefined

  private constructor(
    uid: Uid,
    file: string,
    sizeOctets: number,
    internalDate: number,
    flags: ReadonlySet<Flag>,
    modSeq: ModSeq,
    addedModSeq: ModSeq,
    origin: string | undefined,
    uidl: string | undefined,
  ) {
    this.uid = uid
    this.file = file
    this.sizeOctets = sizeOctets
    this.internalDate = internalDate
    this.flags = flags
    this.modSeq = modSeq
    this.addedModSeq = addedModSeq
    this.origin = origin
    this.uidl = uidl
  }

  /** `origin` where the file name doesn't carry it; `uidl` as `packUidl` made it. Throws RangeError for a file name that isn't one. */
  static of(message: {
    readonly uid: Uid
    readonly file: string
    readonly flags: ReadonlySet<Flag>
    readonly modSeq: ModSeq
    readonly addedModSeq: ModSeq
    readonly origin: string | undefined
    readonly uidl: PackedUidl
  }): StoredMessage {
    const named: MessageFile | undefined = parseMessageFileName(message.file)
    if (named === undefined) throw new RangeError('the log names a file that is no message')
    const origin = message.origin ?? named.origin
    return new StoredMessage(
      message.uid,
      message.file,
      named.sizeOctets,
      named.internalDate,
      message.flags,
      message.modSeq,
      message.addedModSeq,
      origin,
      typeof message.uidl === 'number' ? origin?.slice(-message.uidl) : (message.uidl ?? undefined),
    )
  }

  get digest(): string {
    return this.file.slice(-43)
  }

  /** With an origin that was not known, and what it came with. */
  withOrigin(origin: string, uidl: PackedUidl): StoredMessage {
    const { uid, file, flags, modSeq, addedModSeq } = this
    return StoredMessage.of({ uid, file, flags, modSeq, addedModSeq, origin, uidl })
  }

  withFlags(flags: ReadonlySet<Flag>, modSeq: ModSeq): StoredMessage {
    return new StoredMessage(
      this.uid,
      this.file,
      this.sizeOctets,
      this.internalDate,
      flags,
      modSeq,
      this.addedModSeq,
      this.origin,
      this.uidl,
    )
  }
}
