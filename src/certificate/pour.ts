/** A file in the making, written in large pieces, that gets its name when it is complete and durable. */
import { randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { StoreError } from '../base/errors.ts'

const bufferOctets = 256 * 1024

/** Everything throws StoreError unavailable for what the system refuses. */
export class Pour {
  readonly #path: string
  readonly #handle: FileHandle
  #pieces: string[] = []
  #waiting = 0

  private constructor(path: string, handle: FileHandle) {
    this.#path = path
    this.#handle = handle
  }

  /** Makes the directory (mode 0700). The file has mode 0600, and a name that begins with a dot. */
  static async into(directory: string): Promise<Pour> {
    const path = join(directory, `.${randomBytes(9).toString('base64url')}`)
    return await written(path, async () => {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      return new Pour(path, await open(path, 'wx+', 0o600))
    })
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
    await written(this.#path, () => this.#handle.appendFile(text))
  }

  /** All of it behind what is in another. */
  async into(other: Pour): Promise<void> {
    await this.#flush()
    await other.#flush()
    const piece = Buffer.alloc(bufferOctets)
    await written(other.#path, async () => {
      for (let at = 0; ; ) {
        const { bytesRead } = await this.#handle.read(piece, 0, piece.length, at)
        if (bytesRead === 0) return
        await other.#handle.appendFile(piece.subarray(0, bytesRead))
        at += bytesRead
      }
    })
  }

  /** Ends it: durable, under its name, in the place of what had that. */
  async publish(name: string): Promise<string> {
    await this.#flush()
    const path = join(dirname(this.#path), name)
    await written(path, async () => {
      await this.#handle.sync()
      await this.#handle.close()
      await rename(this.#path, path)
      await syncDirectory(dirname(path))
    })
    return path
  }

  /** Ends it, and nothing is left. */
  async remove(): Promise<void> {
    await this.#handle.close()
    await rm(this.#path, { force: true })
  }
}

const written = async <T>(path: string, write: () => Promise<T>): Promise<T> => {
  try {
    return await write()
  } catch (cause) {
    throw new StoreError('unavailable', `${path} can not be written: ${(cause as Error).message}`, { cause })
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
