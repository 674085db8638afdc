/**
 * Cases of `scripts/*.txt`: a script, a message, what comes of them.
 *
 *   === title
 *   --- script            the script (`--- global`: one that is run before it)
 *   --- message           the message; the one of the case before when left out
 *   --- personal NAME     a script that can be included; also `--- shared NAME` for :global
 *   --- environment       JSON, merged into the environment; `from` and `to` are the envelope's
 *   --- actions           one a line; none: the message is thrown away without a word
 *   --- problems          "line:column text" of the refused script, one a line; the text may end in "…"
 *   --- fails             the same of what ends the run
 *   --- warnings          the same of what is said beside it, when compiled and when run
 *   --- setup, --- true, --- false    commands, and tests (one a line) that are true or false behind them, everything required
 */

import { capabilities, compile } from '#src/sieve/compile.ts'
import { messageInMemory } from '#src/sieve/in-memory.ts'
import { run } from '#src/sieve/run.ts'
import type { Action, Environment, Outcome, Script, ScriptProblem } from '#src/sieve/types.ts'

export interface Case {
  readonly title: string
  readonly sections: ReadonlyMap<string, string>
  readonly message: string
}

export function readCases(text: string): readonly Case[] {
  const cases: Case[] = []
  let message = 'From: a@example.org\nTo: b@example.org\nSubject: test\n\nBody\n'
  for (const piece of text.split(/^=== /m).slice(1)) {
    const [title = '', ...lines] = piece.split('\n')
    const sections = new Map<string, string>()
    let name: string | undefined
    for (const line of lines) {
      const begins = /^--- (\S.*)$/.exec(line)
      if (begins !== null) {
        name = begins[1]!
        sections.set(name, '')
      } else if (name !== undefined) sections.set(name, `${sections.get(name)!}${line}\n`)
    }
    for (const [key, value] of sections) sections.set(key, key === 'message' ? value : value.replace(/\n+$/, '\n'))
    message = sections.get('message') ?? message
    cases.push({ title: title.trim(), sections, message })
  }
  return cases
}

const crlf = (text: string) => Buffer.from(text.replaceAll('\n', '\r\n'))

export function compiled(text: string): Script {
  const result = compile(crlf(text))
  if ('errors' in result) throw new Error(result.errors.map(problemText).join('\n'))
  return result.script
}

export async function runCase({ sections, message }: Case, scripts: readonly Script[]): Promise<Outcome> {
  const given = JSON.parse(sections.get('environment') ?? '{}')
  const { from = 'sender@example.org', to = 'user@example.com', mailboxes, ...others } = given
  const environment: Environment = {
    now: Date.UTC(2008, 0, 15, 12, 30, 45),
    ...(mailboxes === undefined ? {} : { mailboxExists: async (name: string) => mailboxes.includes(name) }),
    script: async (location, name) => {
      const text = sections.get(`${location === 'global' ? 'shared' : 'personal'} ${name}`)
      return text === undefined ? undefined : crlf(text)
    },
    ...others,
  }
  return run(scripts, messageInMemory(crlf(message), { from, to }), environment)
}

export const everything = `require [${capabilities()
  .map((name) => `"${name}"`)
  .join(', ')}];\n`

export const problemText = ({ line, column, text, script }: ScriptProblem) =>
  `${script === undefined ? '' : `${script} `}${line}:${column} ${text}`

export function actionText(action: Action): string {
  switch (action.type) {
    case 'keep':
      return `${action.implicit ? 'implicit keep' : 'keep'}${storedText(action)}`
    case 'fileinto':
      return `fileinto ${JSON.stringify(action.mailbox)}${action.copy ? ' copy' : ''}${action.create ? ' create' : ''}${action.specialUse === undefined ? '' : ` ${action.specialUse}`}${storedText(action)}`
    case 'redirect':
      return `redirect ${action.address}${action.copy ? ' copy' : ''}${storedText(action)}`
    case 'discard':
      return 'discard'
    default: {
      const { type, ...others } = action
      return `${type} ${JSON.stringify(others)}`
    }
  }
}

function storedText(action: {
  readonly flags?: readonly string[] | undefined
  readonly message?: { readonly header: Buffer; readonly body: Buffer | undefined } | undefined
}): string {
  const flags = action.flags === undefined || action.flags.length === 0 ? '' : ` (${action.flags.join(' ')})`
  if (action.message === undefined) return flags
  const header = action.message.header.toString('latin1').trimEnd().split('\r\n')
  const body = action.message.body?.toString().trimEnd().split('\r\n') ?? []
  return `${flags}${[...header, ...(body.length > 0 ? ['', ...body] : [])].map((line) => `\n| ${line}`.trimEnd()).join('')}`
}

/** Expected lines may leave the end of a text open. */
export function sameLines(
  found: readonly string[],
  expected: string,
): { readonly found: string; readonly expected: string } {
  const lines = expected.split('\n').filter((line) => line !== '')
  const shownLines = found.map((line, index) => {
    const wanted = lines[index]
    return wanted?.endsWith('…') && line.startsWith(wanted.slice(0, -1)) ? wanted : line
  })
  return { found: shownLines.join('\n'), expected: lines.join('\n') }
}
