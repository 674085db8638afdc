/** Options of the programs that are run by hand, benchmarks and long proofs, with one form of `--help`. */
import { readFileSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'

export interface ProgramOption {
  readonly default: string
  /** A few words. */
  readonly what: string
}

const root = resolve(import.meta.dirname, '..')

/** What the program is for, from its head comment. */
const headOf = (file: string): string =>
  /^\/\*\*(.*?)\*\//s
    .exec(readFileSync(file, 'utf8'))?.[1]
    ?.replace(/^\s*\* ?/gm, '')
    .trim() ?? ''

/** `--name value` each. With `--help` it prints what there is and ends the process; with what it does not know, that and why. */
export function optionsOf<Name extends string>(
  file: string,
  options: Readonly<Record<Name, ProgramOption>>,
): Readonly<Record<Name, string>> {
  const names = Object.keys(options) as Name[]
  const usage = () => {
    const width = Math.max('help'.length, ...names.map((name) => name.length))
    const lines = names.map((name) => `  --${name.padEnd(width)}  ${options[name].what} (${options[name].default})`)
    return `node ${relative(root, file)} [options]\n${headOf(file)}\n\n${[...lines, `  --${'help'.padEnd(width)}  this text`].join('\n')}\n`
  }
  try {
    const { values } = parseArgs({
      options: {
        help: { type: 'boolean' },
        ...Object.fromEntries(names.map((name) => [name, { type: 'string' as const, default: options[name].default }])),
      },
    })
    if (values.help !== true) return values as Record<Name, string>
    process.stdout.write(usage())
    process.exit(0)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage()}`)
    process.exit(2)
  }
}
