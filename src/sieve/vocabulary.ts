/** What the words of scripts mean: the extensions, by name. */

import type {
  AddressPart,
  CommandSpec,
  Comparator,
  Extension,
  MatchType,
  Namespace,
  TagSpec,
  TestSpec,
} from './language.ts'

/** Something with the capability that it comes with; undefined: everybody's. */
export interface Entry<T> {
  readonly spec: T
  readonly capability: string | undefined
}

export interface Vocabulary {
  /** By capability. */
  readonly extensions: ReadonlyMap<string, Extension>
  readonly commands: ReadonlyMap<string, Entry<CommandSpec>>
  readonly tests: ReadonlyMap<string, Entry<TestSpec>>
  /** Of a command or test, by tag; its own ones too. */
  tagsOf(spec: CommandSpec | TestSpec): ReadonlyMap<string, Entry<TagSpec>>
  readonly matchTypes: ReadonlyMap<string, Entry<MatchType>>
  readonly addressParts: ReadonlyMap<string, Entry<AddressPart>>
  readonly comparators: ReadonlyMap<string, Entry<Comparator>>
  readonly namespaces: ReadonlyMap<string, Entry<Namespace>>
}

const known = new WeakMap<readonly Extension[], Vocabulary>()

export function vocabularyOf(extensions: readonly Extension[]): Vocabulary {
  let vocabulary = known.get(extensions)
  if (vocabulary === undefined) {
    vocabulary = makeVocabulary(extensions)
    known.set(extensions, vocabulary)
  }
  return vocabulary
}

function makeVocabulary(extensions: readonly Extension[]): Vocabulary {
  const byName = <T extends { readonly name: string }>(list: (extension: Extension) => readonly T[] | undefined) =>
    new Map(
      extensions.flatMap((extension) =>
        (list(extension) ?? []).map((spec): [string, Entry<T>] => [
          spec.name,
          { spec, capability: extension.capability },
        ]),
      ),
    )
  const foreign = new Map<string, Map<string, Entry<TagSpec>>>()
  for (const { tags, capability } of extensions)
    for (const tag of tags ?? [])
      for (const on of tag.on) {
        const others = foreign.get(on) ?? new Map<string, Entry<TagSpec>>()
        others.set(tag.name, { spec: tag, capability })
        foreign.set(on, others)
      }
  const tags = new Map<CommandSpec | TestSpec, ReadonlyMap<string, Entry<TagSpec>>>()
  return {
    extensions: new Map(
      extensions.flatMap((extension) =>
        extension.capability === undefined ? [] : [[extension.capability, extension]],
      ),
    ),
    commands: byName((extension) => extension.commands),
    tests: byName((extension) => extension.tests),
    tagsOf: (spec) => {
      let found = tags.get(spec)
      if (found === undefined) {
        const own = (spec.tags ?? []).map((tag): [string, Entry<TagSpec>] => [
          tag.name,
          { spec: tag, capability: undefined },
        ])
        found = new Map([...own, ...(foreign.get(spec.name) ?? [])])
        tags.set(spec, found)
      }
      return found
    },
    matchTypes: byName((extension) => extension.matchTypes),
    addressParts: byName((extension) => extension.addressParts),
    comparators: byName((extension) => extension.comparators),
    namespaces: byName(({ namespace }) => (namespace === undefined ? undefined : [namespace])),
  }
}
