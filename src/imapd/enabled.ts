/** What this session's client switched on, by ENABLE or by a command that does so on the way. RFC 5161, RFC 7162 §3.1 */

/** As they are written on the wire. */
export type Extension = 'CONDSTORE' | 'QRESYNC' | 'UTF8=ACCEPT' | 'IMAP4rev2' | 'METADATA'

/** Those that can be switched on, and what each switches on along with itself. */
const offered: Readonly<Record<Extension, readonly Extension[]>> = {
  CONDSTORE: [],
  QRESYNC: ['CONDSTORE'],
  IMAP4rev2: [],
  METADATA: [],
  'UTF8=ACCEPT': [],
}

export class Enabled {
  readonly #on = new Set<Extension>()

  has(extension: Extension): boolean {
    return this.#on.has(extension)
  }

  /** Answers those of them that were off. */
  add(extensions: readonly Extension[]): readonly Extension[] {
    const added = extensions.filter((extension) => !this.#on.has(extension))
    for (const extension of added) for (const each of [extension, ...offered[extension]]) this.#on.add(each)
    return [...new Set(added)]
  }
}

/** The extension of this name, in any case, when it can be switched on. */
export function findExtension(name: string): Extension | undefined {
  const upper = name.toUpperCase()
  return (Object.keys(offered) as Extension[]).find((extension) => extension.toUpperCase() === upper)
}
