/**
 * A message that is too large to be collected, on its way into a file in `tmp/`. What arrives while one write is under way goes together
 * into the next, so a slow disk makes larger writes, not more of them.
 */
import type { StoreContext } from './context.ts'
import type { NewFile } from './fs.ts'

/** Pieces written by one call: IOV_MAX. */
const piecesAtOnce = 1024
/** Pieces below this are joined, so that a sender of single octets can't make us hold one object for each. */
const smallOctets = 512

/** Adds a piece at the end of those that wait to be written. */
export function addPiece(pieces: Uint8Array[], piece: Uint8Array): void {
  const last = pieces.at(-1)
  if (last !== undefined && last.length < smallOctets && piece.length < smallOctets)
    pieces[pieces.length - 1] = Buffer.concat([last, piece])
  else pieces.push(piece)
}

export class PouredFile {
  readonly path: string
  private readonly context: StoreContext
  private readonly file: Promise<NewFile>
  /** No write was asked for these yet. */
  private pieces: Uint8Array[] = []
  /** Everything asked of the disk so far. */
  private work: Promise<void>

  constructor(context: StoreContext, path: string) {
    this.context = context
    this.path = path
    this.file = context.fs.create(path)
    this.work = this.file.then(() => {})
  }

  /** Takes the next octets; nobody may change them afterwards. Resolves when they are written; `slots.room()` tells when to go on. */
  add(piece: Uint8Array): Promise<void> {
    this.context.slots.hold(piece.length)
    const asked = this.pieces.length > 0
    addPiece(this.pieces, piece)
    if (!asked) this.work = this.pour(this.work)
    return this.work
  }

  /** Resolves when everything that was added is written. */
  written(): Promise<void> {
    return this.work
  }

  /** Makes the content durable. */
  async finish(): Promise<void> {
    const { slots } = this.context
    await this.work
    const file = await this.file
    await slots.run(() => file.finish())
  }

  /** Takes the file back, as well as can be. */
  async remove(): Promise<void> {
    await this.work.catch(() => {})
    await this.file.then((file) => file.discard()).catch(() => {})
    await this.context.fs.remove(this.path).catch(() => {})
  }

  private async pour(before: Promise<void>): Promise<void> {
    let pieces: readonly Uint8Array[] = []
    try {
      await before.finally(() => {
        pieces = this.pieces
        this.pieces = []
      })
      const file = await this.file
      for (let at = 0; at < pieces.length; at += piecesAtOnce) await file.write(...pieces.slice(at, at + piecesAtOnce))
    } finally {
      for (const piece of pieces) this.context.slots.release(piece.length)
    }
  }
}
