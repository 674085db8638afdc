/** The words of `sieve-test`. */
import { parseArgs } from 'node:util'
import { extensions } from '../../sieve/extensions/index.ts'
import type { Extension } from '../../sieve/language.ts'

export const usage = `sieve-test: what Sieve scripts do with a message; nothing is done

  sieve-test [options] SCRIPT MESSAGE          runs the script and prints the actions; - is standard input
  sieve-test [options] --user USERID MESSAGE   runs global_sieve_script and the user's active script, as lmtpd would
  sieve-test [options] --user USERID SCRIPT MESSAGE
                                               the same with this script instead of the active one
  sieve-test [options] FILE.svtest...          runs test scripts, and tells which tests pass

  -t, --trace       prints each command and test with its line and its result
  -r RECIPIENT      whom the message is for (default: the user, or the first address of To)
  -f SENDER         reverse-path, "" for none (default: Return-Path, or the first address of From)
  -x EXTENSIONS     what scripts may require: names, or changes of what there is: -x-vacation, "-x-body -date"
  --json            one object: actions, warnings, error; of a script that can't be run: errors, warnings
  -c FILE           configuration, for --user (default /etc/isode/ms.conf)

Exit status: 0 done (all tests pass); 1 the script has errors or failed, or a test failed; 64 wrong arguments; 66 a file can't
be read; 78 wrong configuration
`

export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export interface SieveTestArguments {
  readonly help: boolean
  readonly trace: boolean
  readonly json: boolean
  readonly recipient: string | undefined
  readonly sender: string | undefined
  readonly extensions: readonly Extension[]
  readonly user: string | undefined
  readonly configFile: string | undefined
  readonly files: readonly string[]
}

/** Throws UsageError. */
export function readArguments(argv: readonly string[]): SieveTestArguments {
  const { values, positionals } = parsed(argv)
  const isSuite = positionals.length > 0 && positionals.every((file) => file.endsWith('.svtest'))
  const { user, help = false, trace = false, json = false } = values
  const needed = user === undefined ? [2] : [1, 2]
  if (!help && !isSuite && !needed.includes(positionals.length))
    throw new UsageError(user === undefined ? 'a script and a message are needed' : 'a message is needed')
  if (positionals.filter((file) => file === '-').length > 1) throw new UsageError('only one of the files can be -')
  return {
    help,
    trace,
    json,
    recipient: values.recipient,
    sender: values.sender,
    extensions: chosen(values.extensions),
    user,
    configFile: values.config,
    files: positionals,
  }
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        trace: { type: 'boolean', short: 't' },
        json: { type: 'boolean' },
        recipient: { type: 'string', short: 'r' },
        sender: { type: 'string', short: 'f' },
        extensions: { type: 'string', short: 'x' },
        user: { type: 'string' },
        config: { type: 'string', short: 'c' },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function chosen(words: string | undefined): readonly Extension[] {
  const named = (words ?? '').split(/\s+/).filter((word) => word !== '')
  if (named.length === 0) return extensions
  const known = new Set(extensions.flatMap(({ capability }) => capability ?? []))
  const unknown = named.map((word) => word.replace(/^[+-]/, '')).find((name) => !known.has(name))
  if (unknown !== undefined) throw new UsageError(`there is no extension ${JSON.stringify(unknown.slice(0, 60))}`)
  const changes = named.every((word) => /^[+-]/.test(word))
  const isIn = ({ capability }: Extension): boolean => {
    if (capability === undefined) return true
    return changes ? !named.includes(`-${capability}`) : named.includes(capability)
  }
  return extensions.filter(isIn)
}
