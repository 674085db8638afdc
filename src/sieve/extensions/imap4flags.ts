/** Flags that the message is stored with. RFC 5232 */

import type { Arguments, CompileContext, Extension, Positional, Run, Texts } from '../language.ts'
import { perRun } from '../language.ts'
import { isVariableName, nameRule } from './variables.ts'

/** The internal variable. §3 */
const internal = perRun(() => ({ flags: [] as readonly string[] }))

const positional: readonly Positional[] = [
  { name: 'variable', type: 'string', optional: true, constant: true },
  { name: 'flags', type: 'string-list' },
]

export const imap4flags: Extension = {
  capability: 'imap4flags',
  commands: [
    { name: 'setflag', positional, compile: (given, context) => change(given, context, (_, flags) => distinct(flags)) },
    {
      name: 'addflag',
      positional,
      compile: (given, context) => change(given, context, (before, flags) => distinct([...before, ...flags])),
    },
    {
      name: 'removeflag',
      positional,
      compile: (given, context) =>
        change(given, context, (before, flags) => {
          const removed = new Set(flags.map((flag) => flag.toLowerCase()))
          return before.filter((flag) => !removed.has(flag.toLowerCase()))
        }),
    },
  ],
  tests: [
    {
      name: 'hasflag',
      positional: [
        { name: 'variables', type: 'string-list', optional: true },
        { name: 'flags', type: 'string-list' },
      ],
      matches: true,
      keysOf: words,
      compile(given, context) {
        const names = given.findTexts('variables')
        if (names !== undefined) checkVariables(names, context)
        const { matching } = given
        return (run) => {
          const lists =
            names === undefined ? [internal(run).flags] : names.of(run).map((name) => words(variable(name, run)))
          return matching.any(
            lists.flatMap((flags) => distinct(flags)),
            run,
          )
        }
      },
    },
  ],
  tags: [
    {
      name: 'flags',
      value: 'string-list',
      on: ['keep', 'fileinto'],
      decorate: (action, given, run) => ({ ...action, flags: validFlags(given.texts('flags').of(run)) }),
    },
  ],
  complete(action, run) {
    if ((action.type !== 'keep' && action.type !== 'fileinto') || action.flags !== undefined) return action
    return run.has('imap4flags') || internal(run).flags.length > 0 ? { ...action, flags: internal(run).flags } : action
  },
}

/** A key that is a list of flags is one of each of them. §4 */
function words(text: string): readonly string[] {
  return text.split(/[ \t\r\n]+/).filter((word) => word !== '')
}

function change(
  given: Arguments,
  context: CompileContext,
  apply: (before: readonly string[], flags: readonly string[]) => readonly string[],
): (run: Run) => void {
  const list = given.texts('flags')
  const name = given.findText('variable')
  if (name === undefined)
    return (run) => {
      const state = internal(run)
      const flags = validFlags(list.of(run))
      run.spend(state.flags.length + flags.length)
      state.flags = apply(state.flags, flags)
    }
  if (!context.has('variables'))
    context.error(name.position, 'flags in a variable need the extension "variables": add require "variables";')
  else if (!isVariableName(name.constant ?? ''))
    context.error(name.position, `"${name.constant?.slice(0, 80)}" is no name of a variable: ${nameRule}`)
  const lower = (name.constant ?? '').toLowerCase()
  return (run) => {
    const before = words(run.variable(lower))
    const flags = validFlags(list.of(run))
    run.spend(before.length + flags.length)
    run.setVariable(lower, apply(before, flags).join(' '))
  }
}

function checkVariables(names: Texts, context: CompileContext): void {
  if (!context.has('variables'))
    context.error(names.position, 'flags in a variable need the extension "variables": add require "variables";')
  for (const { constant, position } of names.items)
    if (constant !== undefined && !isVariableName(constant))
      context.error(position, `"${constant.slice(0, 80)}" is no name of a variable: ${nameRule}`)
}

const variable = (name: string, run: Run) => run.variable(name.toLowerCase())

/** The system flags that clients may set. RFC 9051 §2.3.2 */
const systemFlags: ReadonlyMap<string, string> = new Map(
  ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft'].map((flag) => [flag.toLowerCase(), flag]),
)

/** Those that can be set; strings may hold several. What is no flag is left out. §2 */
export function validFlags(list: readonly string[]): readonly string[] {
  return distinct(
    list.flatMap(words).flatMap((word) => {
      if (word.startsWith('\\')) return systemFlags.get(word.toLowerCase()) ?? []
      return /^[!#$&'+-[^-z|}~]+$/.test(word) ? word : []
    }),
  )
}

function distinct(flags: readonly string[]): readonly string[] {
  const seen = new Map<string, string>()
  for (const flag of flags) if (!seen.has(flag.toLowerCase())) seen.set(flag.toLowerCase(), flag)
  return [...seen.values()]
}
