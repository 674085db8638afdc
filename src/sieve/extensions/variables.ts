/** Named texts. RFC 5229; strings with variables in them are `strings.ts`. */

import { asciiUpper } from '../comparators.ts'
import type { CompileContext, Extension, TagSpec, Text } from '../language.ts'
import { runLimits } from '../limits.ts'
import { splitNamespace } from '../strings.ts'
import { octetsOf } from '../text.ts'

/** With their precedence: larger ones come first, and two of one can't stand together. §4.1 */
const modifiers: readonly { readonly name: string; readonly precedence: number; apply(text: string): string }[] = [
  { name: 'lower', precedence: 40, apply: (text) => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) },
  { name: 'upper', precedence: 40, apply: asciiUpper },
  { name: 'lowerfirst', precedence: 30, apply: (text) => text.replace(/^[A-Z]/, (letter) => letter.toLowerCase()) },
  { name: 'upperfirst', precedence: 30, apply: (text) => text.replace(/^[a-z]/, (letter) => letter.toUpperCase()) },
  { name: 'quotewildcard', precedence: 20, apply: (text) => text.replace(/[*?\\]/g, '\\$&') },
  { name: 'length', precedence: 10, apply: (text) => String(characters(text)) },
]

const tags: readonly TagSpec[] = modifiers.map(({ name, precedence }) => ({
  name,
  excludes: modifiers
    .filter((other) => other.precedence === precedence && other.name !== name)
    .map((other) => other.name),
}))

export const variables: Extension = {
  capability: 'variables',
  changesGrammar: true,
  commands: [
    {
      name: 'set',
      tags,
      positional: [
        { name: 'name', type: 'string', constant: true },
        { name: 'value', type: 'string' },
      ],
      compile(given, context) {
        const value = given.text('value')
        const chosen = modifiers.filter(({ name }) => given.has(name))
        const target = setter(given.text('name'), context)
        return (run) => {
          let text = value.of(run)
          for (const { apply } of chosen) text = apply(text)
          target?.(run, text)
        }
      },
    },
  ],
  tests: [
    {
      name: 'string',
      positional: [
        { name: 'source', type: 'string-list' },
        { name: 'keys', type: 'string-list' },
      ],
      matches: true,
      compile(given) {
        const source = given.texts('source')
        const { matching } = given
        return (run) => {
          const texts = source.of(run)
          return matching.any(matching.counts ? texts.filter((text) => text !== '') : texts, run)
        }
      },
    },
  ],
}

type Setter = (run: Parameters<Text['of']>[0], value: string) => void

function setter(name: Text, context: CompileContext): Setter | undefined {
  const text = (name.constant ?? '').toLowerCase()
  const [space, rest] = splitNamespace(text, context)
  if (space !== undefined) {
    const namespace = context.namespace(space)!
    if (namespace.set !== undefined && isVariableName(rest)) return (run, value) => namespace.set!(rest, value, run)
    context.error(
      name.position,
      `"${text.slice(0, 80)}" can't be set: ${namespace.set === undefined ? 'it can only be read' : 'it is no name'}`,
    )
    return undefined
  }
  if (isVariableName(text)) return (run, value) => run.setVariable(text, value)
  context.error(name.position, `"${text.slice(0, 80)}" is no name of a variable: ${nameRule}`)
  return undefined
}

export const nameRule = `use a letter or "_" and then letters, digits and "_", ${runLimits.variableNameCharacters} at most`

export const isVariableName = (name: string): boolean =>
  name.length <= runLimits.variableNameCharacters && /^[a-z_][a-z0-9_]*$/i.test(name)

/** Octets that are no character count as one each. */
function characters(text: string): number {
  let count = 0
  for (const octet of octetsOf(text)) if ((octet & 0xc0) !== 0x80) count++
  return count
}
