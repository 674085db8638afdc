/** Named texts. RFC 5229; strings with variables in them are `strings.ts`. */

import { asciiUpper } from '../comparators.ts'
import type { CompileContext, Extension, TagSpec, Text } from '../language.ts'
import { runLimits } from '../limits.ts'
import { splitNamespace } from '../strings.ts'
import { octetsOf } from '../text.ts'

interface Modifier {
  readonly name: string
  readonly precedence: number
  /** Of another extension. */
  readonly capability?: string
  apply(text: string): string
}

/** With their precedence: larger ones come first, and two of one can't stand together. §4.1 */
const modifiers: readonly Modifier[] = [
  { name: 'lower', precedence: 40, apply: (text) => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) },
  { name: 'upper', precedence: 40, apply: asciiUpper },
  { name: 'lowerfirst', precedence: 30, apply: (text) => text.replace(/^[A-Z]/, (letter) => letter.toLowerCase()) },
  { name: 'upperfirst', precedence: 30, apply: (text) => text.replace(/^[a-z]/, (letter) => letter.toUpperCase()) },
  { name: 'quotewildcard', precedence: 20, apply: (text) => text.replace(/[*?\\]/g, '\\$&') },
  // RFC 5435 §6
  { name: 'encodeurl', capability: 'enotify', precedence: 15, apply: (text) => encodeUrl(text) },
  { name: 'length', precedence: 10, apply: (text) => String(characters(text)) },
]

const tags: readonly TagSpec[] = modifiers.map(({ name, precedence, capability }) => ({
  name,
  ...(capability === undefined ? {} : { capability }),
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

/** All octets but those that may stand in any URI. RFC 3986 §2.3 */
function encodeUrl(text: string): string {
  const octets = octetsOf(text).toString('latin1')
  return octets.replace(
    /[^A-Za-z0-9._~-]/g,
    (octet) => `%${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}
