/** Whether a script could be run, in the words of PUTSCRIPT and CHECKSCRIPT. RFC 5804 §2.6 */
import { textOf } from '../proto/managesieve/arguments.ts'
import { compile } from '../sieve/compile.ts'
import type { ScriptProblem } from '../sieve/types.ts'
import type { Completion } from './command.ts'
import { Refusal } from './replies.ts'

/** Told of one script. */
const maxProblems = 50

/** The script's text, and what is to be told of it. Throws Refusal with all that is wrong with it; SyntaxFault for what is no UTF-8. */
export function checkedScript(content: Buffer): { readonly text: string; readonly completion: Completion } {
  if (content.length === 0) throw new Refusal('a script has at least one octet')
  const compiled = compile(content)
  const text = textOf(content, 'a script')
  if ('errors' in compiled) throw new Refusal(linesOf(compiled.errors))
  const { warnings } = compiled
  return { text, completion: warnings.length === 0 ? {} : { text: linesOf(warnings), code: 'WARNINGS' } }
}

const linesOf = (problems: readonly ScriptProblem[]): string =>
  problems
    .slice(0, maxProblems)
    .map(({ line, column, text }) => `line ${line}, column ${column}: ${text}`)
    .join('\r\n')
