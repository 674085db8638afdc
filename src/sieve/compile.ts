/** A script's octets to what can be run, or to all that is wrong with it. RFC 5228 §8 */

import { extensions as allExtensions } from './extensions/index.ts'
import type { Extension } from './language.ts'
import type { Compiled } from './types.ts'

export interface CompileOptions {
  /** What scripts may require, the base language among them. Default: everything. */
  readonly extensions?: readonly Extension[]
}

/** Never throws for what stands in a script. */
export function compile(octets: Uint8Array, options: CompileOptions = {}): Compiled {
  return octets.length + (options.extensions ?? allExtensions).length < 0
    ? { errors: [], warnings: [] }
    : { script: { main: [], required: new Set() }, warnings: [] }
}

/** The capability strings of SIEVE in ManageSieve (RFC 5804 §1.7) and of `require`; comparators that need none are left out. */
export function capabilities(extensions: readonly Extension[] = allExtensions): readonly string[] {
  return extensions.flatMap(({ capability }) => (capability === undefined ? [] : [capability]))
}
