/**
 * Compression of a connection: a raw DEFLATE stream each way, without an end. RFC 4978, RFC 1951; docs/decisions/0325-compression.md
 * What a maintainer could break: whatever is handed over ends in a sync flush, so that the other side can read it to its last octet and a new
 * compressor may go on from there.
 */
import type { Socket } from 'node:net'
import { constants, createDeflateRaw, createInflateRaw, type DeflateRaw, type InflateRaw } from 'node:zlib'

/** Of clear octets that may wait for their reader, whatever a small piece of the stream becomes. */
const inflatedOctets = 16 * 1024
/** The stream's window is the client's choice. */
const inflating = {
  windowBits: constants.Z_MAX_WINDOWBITS,
  chunkSize: 4 * 1024,
  highWaterMark: inflatedOctets,
  // A stream that stops is a client that closed.
  finishFlush: constants.Z_SYNC_FLUSH,
}
const deflating = {
  windowBits: constants.Z_MAX_WINDOWBITS,
  memLevel: 8,
  level: 3,
  flush: constants.Z_SYNC_FLUSH,
  // All of a batch is taken at once: nobody reads while it is made.
  readableHighWaterMark: 256 * 1024,
}
/** A compressor without work for this long is given up, with its memory; the next begins anew. */
const quietMs = 5_000

/** Of one connection, over the socket that its octets pass by. */
export class Compression {
  readonly #socket: Socket
  /** What the client's octets become, at the pace of its reader. Fails with zlib's error when they are no stream. */
  readonly inflated: InflateRaw
  readonly #quiet: NodeJS.Timeout
  #deflater: DeflateRaw | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    this.inflated = socket.pipe(createInflateRaw(inflating))
    this.#quiet = setTimeout(() => this.#rest(), quietMs).unref()
  }

  /** Sends octets, and tells when the system has them. One call at a time. */
  write(octets: Buffer, sent: (error?: Error | null) => void): void {
    this.#deflater ??= createDeflateRaw(deflating)
    const deflater = this.#deflater
    deflater.write(octets, () => {
      if (deflater.destroyed) return
      this.#quiet.refresh()
      const pieces: Buffer[] = []
      for (let piece = deflater.read(); piece !== null; piece = deflater.read()) pieces.push(piece)
      this.#socket.write(Buffer.concat(pieces), sent)
    })
  }

  /** The socket's octets are its own again. */
  end(): void {
    clearTimeout(this.#quiet)
    this.#deflater?.destroy()
    this.#socket.unpipe(this.inflated)
    this.inflated.destroy()
  }

  #rest(): void {
    // Whoever is at work begins the time anew.
    if (this.#deflater === undefined || this.#deflater.writableLength > 0) return
    this.#deflater.destroy()
    this.#deflater = undefined
  }
}
