/** A file in the making, written in large pieces, that gets its name when it is complete and durable. */
import { randomBytes } from 'node:crypto'
import { type FileHandle, open, rename, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'

const bufferOctets = 256 * 1024

/** Everything throws what the system refuses. */
export class Pour {
  readonly #path: string
  readonly #handle: FileHandle
  #pieces: string[] = []
  #waiting = 0

  private constructor(path: string, handle: FileHandle) {
    this.#path = path
    this.#handle = handle
  }

  /** Mode 0600, under a name that begins with a dot. */
  static async into(directory: string): Promise<Pour> {
    const path = join(directory, `.${randomBytes(9).toString('base64url')}`)
    return new Pour(path, await open(path, 'wx+', 0o600))
  }

  /** A promise has to be waited for. */
  write(text: string): void | Promise<void> {
    this.#pieces.push(text)
    this.#waiting += text.length
    if (this.#waiting >= bufferOctets) return this.#flush()
  }

  async #flush(): Promise<void> {
    const text = this.#pieces.join('')
    this.#pieces = []
    this.#waiting = 0
    await this.#handle.appendFile(text)
  }

  /** All of it behind what is in another. */
  async into(other: Pour): Promise<void> {
    await this.#flush()
    await other.#flush()
    const piece = Buffer.alloc(bufferOctets)
    for (let at = 0; ; ) {
      const { bytesRead } = await this.#handle.read(piece, 0, piece.length, at)
      if (bytesRead === 0) return
      await other.#handle.appendFile(piece.subarray(0, bytesRead))
      at += bytesRead
    }
  }

  /** Ends it: durable, under its name, in the place of what had that. */
  async publish(name: string): Promise<string> {
    await this.#flush()
    await this.#handle.sync()
    await this.#handle.close()
    const path = join(dirname(this.#path), name)
    await rename(this.#path, path)
    await syncDirectory(dirname(path))
    return path
  }

  /** Ends it, and nothing is left. */
  async remove(): Promise<void> {
    await this.#handle.close()
    await unlink(this.#path)
  }
}

const syncDirectory = async (directory: string): Promise<void> => {
  const handle = await open(directory)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
