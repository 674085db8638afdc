/** The command line of programs that are run by hand, benchmarks and long proofs: `parseArgs` with one form of `--help`, which tells what the program's head comment says. */
import { readFileSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { type ParseArgsConfig, type ParseArgsOptionsConfig, parseArgs } from 'node:util'

const root = resolve(import.meta.dirname, '../..')

const headOf = (file: string): string =>
  /^\/\*\*(.*?)\*\//ms
    .exec(readFileSync(file, 'utf8'))?.[1]
    ?.replace(/^\s*\* ?/gm, '')
    .trim() ?? ''

/** `positionals`: as the usage shows them. With `--help` it prints what there is and ends the process; what it does not know ends it too, with the reason. */
export function programArgs<Config extends ParseArgsConfig>(
  config: Config,
  positionals = '',
): ReturnType<typeof parseArgs<Config>> {
  const file = process.argv[1]!
  const options: ParseArgsOptionsConfig = { ...config.options, help: { type: 'boolean' } }
  const shown = Object.entries(options).map(([name, { type, default: usual }]) => {
    const value = type === 'string' ? ` ${name.toUpperCase()}` : ''
    return `  --${name}${value}${usual === undefined || usual === false ? '' : ` (${usual})`}\n`
  })
  const usage = `usage: node ${relative(root, file)} [options] ${positionals}\n${shown.join('')}\n${headOf(file)}\n`
  try {
    const { values } = parseArgs({ ...config, options })
    if ('help' in values && values.help === true) {
      process.stdout.write(usage)
      process.exit(0)
    }
    return parseArgs(config)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`)
    process.exit(2)
  }
}
