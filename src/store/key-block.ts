/**
 * The order keys of the messages in one range of UIDs: `<sent> <reply> <ends of the texts> <texts>` is the content of each entry, numbers in little endian. On disk an
 * entry is found by the digest of a message's octets; in memory by the UID, which means one message for ever.
 */

import type { Uid } from '../base/ids.ts'
import { type KeyText, keyTexts, type OrderKeys } from '../mime/order-keys.ts'
import { blockEntry, contentAt, readBlockEntries } from './block-entry.ts'
import { type BlockKind, blockUids } from './block-files.ts'

/** A message whose keys are larger (hundreds of references) is threaded by its last ones. */
const maxEntryOctets = 32 * 1024
/** Of each text but the references, so that all of them leave room for some of those. Prepared, one character may be fifty octets. */
const maxTextOctets = 4000

const sentAtAt = contentAt
const isReplyAt = sentAtAt + 8
const endsAt = isReplyAt + 4
const textsAt = endsAt + 4 * keyTexts.length

const indexOf = Object.fromEntries(keyTexts.map((text, index) => [text, index])) as Readonly<Record<KeyText, number>>

/** `digest` in base64url. */
export function keyEntry(digest: string, { texts, sentAt, isReply }: OrderKeys): Buffer {
  const octets: Buffer[] = keyTexts.map((text) => {
    const all = Buffer.from(texts[text], isOctets(text) ? 'latin1' : 'utf8')
    return text === 'references' ? all : all.subarray(0, maxTextOctets)
  })
  const others = octets.slice(0, -1).reduce((sum, { length }) => sum + length, textsAt)
  const references = octets.at(-1)!
  octets[octets.length - 1] = lastOf(references, Math.max(0, maxEntryOctets - others))
  const head = Buffer.alloc(textsAt - contentAt)
  head.writeDoubleLE(sentAt ?? Number.NaN, sentAtAt - contentAt)
  head.writeUInt8(isReply ? 1 : 0, isReplyAt - contentAt)
  let end = textsAt
  for (const [index, { length }] of octets.entries()) {
    end += length
    head.writeUInt32LE(end, endsAt - contentAt + 4 * index)
  }
  return blockEntry(digest, head, ...octets)
}

const isOctets = (text: KeyText): boolean => text === 'messageId' || text === 'references'

/** Whole ones. */
function lastOf(references: Buffer, room: number): Buffer {
  if (references.length <= room) return references
  const first = references.indexOf(0, references.length - room)
  return first < 0 ? references.subarray(references.length) : references.subarray(first + 1)
}

export class KeyBlock {
  readonly first: Uid
  octets: Buffer = Buffer.alloc(0)
  /** Where each UID's entry begins; -1: not known. */
  private readonly starts = new Int32Array(blockUids).fill(-1)

  constructor(first: Uid) {
    this.first = first
  }

  has(uid: Uid): boolean {
    return this.starts[uid - this.first]! >= 0
  }

  /** Entries of these UIDs, one behind another. */
  add(uids: readonly Uid[], entries: readonly Buffer[]): void {
    let start = this.octets.length
    this.octets = Buffer.concat([this.octets, ...entries])
    for (const [index, uid] of uids.entries()) {
      this.starts[uid - this.first] = start
      start += entries[index]!.length
    }
  }

  /** Of a UID that it has: octets in latin1. */
  text(uid: Uid, text: KeyText): string {
    const start = this.starts[uid - this.first]!
    const ends = start + endsAt + 4 * indexOf[text]
    const from = indexOf[text] === 0 ? textsAt : this.octets.readUInt32LE(ends - 4)
    return this.octets.toString('latin1', start + from, start + this.octets.readUInt32LE(ends))
  }

  /** Seconds since 1970; NaN without a legible Date. */
  sentAt(uid: Uid): number {
    return this.octets.readDoubleLE(this.starts[uid - this.first]! + sentAtAt)
  }

  isReply(uid: Uid): boolean {
    return this.octets[this.starts[uid - this.first]! + isReplyAt] === 1
  }

  get memoryOctets(): number {
    return this.octets.length + 4 * blockUids + 200
  }
}

/** A sum that is right by chance must not lead outside of the entry. */
function isInOrder(entry: Buffer): boolean {
  let before = textsAt
  for (let at = endsAt; at < textsAt; at += 4) {
    const end = entry.readUInt32LE(at)
    if (end < before || end > entry.length) return false
    before = end
  }
  return true
}

export const keyKind: BlockKind = {
  prefix: 'keys-',
  shape: 1,
  // 32 KB a message.
  maxOctets: 8 * 1024 * 1024,
  read: (octets) => readBlockEntries(octets, textsAt, maxEntryOctets + textsAt, isInOrder),
}
