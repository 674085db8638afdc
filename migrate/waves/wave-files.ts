/** Where waves lie. */
import { join } from 'node:path'
import { StoreError } from '#src/base/errors.ts'
import { recordDirectory } from '#src/base/record-directory.ts'
import { formatWave, readWave, type Wave } from './wave.ts'

/** Every change is durable when its promise resolves. */
export class WaveFiles {
  readonly #directory: string
  readonly #files: ReturnType<typeof recordDirectory>
  #changing: Promise<unknown> = Promise.resolve()

  constructor(directory: string) {
    this.#directory = directory
    this.#files = recordDirectory(directory, 'the waves')
  }

  /** Throws StoreError. */
  async find(name: string): Promise<Wave | undefined> {
    const file = fileName(name)
    const octets = await this.#files.read(file)
    return octets === undefined ? undefined : readWave(octets, join(this.#directory, file))
  }

  /** A damaged one hides no other. Throws StoreError unavailable. */
  async list(): Promise<{ readonly waves: readonly Wave[]; readonly damaged: readonly string[] }> {
    const waves: Wave[] = []
    const damaged: string[] = []
    for await (const { path, octets } of this.#files.list()) {
      try {
        waves.push(readWave(octets, path))
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        damaged.push(error.message)
      }
    }
    return { waves: waves.sort((a, b) => a.created - b.created), damaged }
  }

  /** Throws StoreError already-exists. */
  async add(wave: Wave): Promise<void> {
    await this.#files.add(fileName(wave.name), formatWave(wave))
  }

  /** One behind the other. Throws StoreError not-found. */
  async change(name: string, change: (wave: Wave) => Wave): Promise<Wave> {
    const changed = this.#changing.then(async () => {
      const wave = await this.find(name)
      if (wave === undefined) throw new StoreError('not-found', `there is no wave ${name}`)
      const next = change(wave)
      await this.#files.put(fileName(name), formatWave(next))
      return next
    })
    this.#changing = changed.catch(() => {})
    return await changed
  }
}

/** Names that differ in case only are one: file systems may not tell them apart. */
const fileName = (name: string): string => `${name.toLowerCase()}.json`
