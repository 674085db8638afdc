/**
 * Work that one ms_syncd of a store does at a time, each by a name. In the folder that all nodes see (docs/decisions/0291-leases.md):
 *
 *     leases/<name>.<claim>       made by whoever takes it, exclusively; the highest claim holds
 *
 * What a maintainer could break: whoever could not settle with the others for a while holds nothing, since it may have been given up; and a claim that is not
 * there any more, or not the highest, was lost.
 */
import { link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Another node, in words for an operator too. */
export interface Holder {
  readonly id: string
  readonly where: string
}

export interface LeasesOptions {
  readonly directory: string
  /** Of this node. */
  readonly id: string
  /** This node has settled with the others a moment ago. */
  readonly isCurrent: () => boolean
  /** Undefined: it does not live, or is not known. */
  readonly find: (id: string) => Promise<Holder | undefined>
}

const attempts = 5

export class Leases {
  readonly #options: LeasesOptions
  /** Claims by name. */
  readonly #mine = new Map<string, number>()

  constructor(options: LeasesOptions) {
    this.#options = options
  }

  holds(name: string): boolean {
    return this.#mine.has(name) && this.#options.isCurrent()
  }

  /** Takes it, unless somebody who lives holds it: answers who. `name`: lower-case letters, digits, - and _. Throws what the system refuses. */
  async take(name: string): Promise<Holder | undefined> {
    const { id, find, directory } = this.#options
    await mkdir(directory, { recursive: true, mode: 0o700 })
    for (let attempt = 0; attempt < attempts; attempt++) {
      const held = (await this.#claims()).get(name)
      if (held?.holder === id) return void this.#mine.set(name, held.claim)
      this.#mine.delete(name)
      const other = held === undefined ? undefined : await find(held.holder)
      if (other !== undefined) return other
      if (await this.#claim(name, (held?.claim ?? 0) + 1)) return undefined
    }
    throw new Error(`several nodes want ${name} at the same time`)
  }

  /** Notices what was lost. */
  async look(): Promise<void> {
    if (this.#mine.size === 0) return
    const claims = await this.#claims()
    for (const [name, claim] of this.#mine) if (claims.get(name)?.claim !== claim) this.#mine.delete(name)
  }

  /** Gives all of it back. */
  async release(): Promise<void> {
    const mine = [...this.#mine]
    this.#mine.clear()
    for (const [name, claim] of mine) await rm(join(this.#options.directory, `${name}.${claim}`), { force: true })
  }

  async #claims(): Promise<ReadonlyMap<string, { readonly claim: number; readonly holder: string }>> {
    const { directory } = this.#options
    const highest = new Map<string, number>()
    for (const file of await readdir(directory)) {
      const [, name, text] = /^([a-z0-9_-]+)\.(\d{1,15})$/.exec(file) ?? []
      if (name !== undefined) highest.set(name, Math.max(highest.get(name) ?? 0, Number(text)))
    }
    const claims = new Map<string, { readonly claim: number; readonly holder: string }>()
    for (const [name, claim] of highest) {
      const holder = await readFile(join(directory, `${name}.${claim}`), 'utf8').catch(() => '')
      claims.set(name, { claim, holder })
    }
    return claims
  }

  /** False: another node was first. */
  async #claim(name: string, claim: number): Promise<boolean> {
    const { directory, id } = this.#options
    const draft = join(directory, `.${id}`)
    await writeFile(draft, id, { mode: 0o600 })
    try {
      await link(draft, join(directory, `${name}.${claim}`))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      return false
    } finally {
      await rm(draft, { force: true })
    }
    this.#mine.set(name, claim)
    await rm(join(directory, `${name}.${claim - 1}`), { force: true })
    return true
  }
}
