/** A script's octets to what can be run, or to all that is wrong with it. RFC 5228 §8 */

import { Compiler } from './compiler.ts'
import { extensions as allExtensions } from './extensions/index.ts'
import type { Extension } from './language.ts'
import { parse } from './parser.ts'
import type { Compiled } from './types.ts'
import { vocabularyOf } from './vocabulary.ts'

export interface CompileOptions {
  /** What scripts may require, the base language among them. Default: everything. Keep the array: what is worked out of it is remembered by it. */
  readonly extensions?: readonly Extension[]
}

/** Never throws for what stands in a script. */
export function compile(octets: Uint8Array, options: CompileOptions = {}): Compiled {
  const { commands, problems } = parse(octets)
  const compiler = new Compiler(vocabularyOf(options.extensions ?? allExtensions))
  const script = compiler.script(commands, problems.length > 0)
  const errors = [...problems, ...compiler.errors]
  errors.sort((a, b) => a.line - b.line || a.column - b.column)
  const { warnings } = compiler
  return errors.length > 0 ? { errors, warnings } : { script, warnings }
}

/** The capability strings of SIEVE in ManageSieve (RFC 5804 §1.7), which are those of `require`. */
export function capabilities(extensions: readonly Extension[] = allExtensions): readonly string[] {
  return extensions.flatMap(({ capability }) => (capability === undefined ? [] : [capability]))
}
