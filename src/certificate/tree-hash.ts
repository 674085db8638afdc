/**
 * One digest over many entries in their order: the Merkle Tree Hash of RFC 9162 §2.1.1 with SHA-256. A leaf is hashed behind an octet 0, a node of
 * two behind an octet 1; the left one of two has the largest power of two of leaves that leaves one for the right. Of no entries: SHA-256 of nothing.
 */
import { createHash } from 'node:crypto'

interface Subtree {
  /** Leaves, a power of two. */
  readonly leaves: number
  readonly hash: Buffer
}

/** Entries one after another; holds as many digests as the number of entries has binary digits. */
export class TreeHash {
  readonly #whole: Subtree[] = []

  add(entry: string | Buffer): void {
    let subtree: Subtree = { leaves: 1, hash: createHash('sha256').update(leafMark).update(entry).digest() }
    for (let left = this.#whole.at(-1); left?.leaves === subtree.leaves; left = this.#whole.at(-1)) {
      this.#whole.pop()
      subtree = { leaves: 2 * left.leaves, hash: node(left.hash, subtree.hash) }
    }
    this.#whole.push(subtree)
  }

  /** Of what was added so far, in hex. */
  root(): string {
    const last = this.#whole.at(-1)
    if (last === undefined) return createHash('sha256').digest('hex')
    return this.#whole
      .slice(0, -1)
      .reduceRight((right, { hash }) => node(hash, right), last.hash)
      .toString('hex')
  }
}

const leafMark = Buffer.of(0)
const nodeMark = Buffer.of(1)

const node = (left: Buffer, right: Buffer): Buffer =>
  createHash('sha256').update(nodeMark).update(left).update(right).digest()
