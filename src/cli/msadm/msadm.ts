/** Administration of accounts and mail: chapter 3.2.4 of the administration guide. */
import { once } from 'node:events'
import { dirname } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { openAccountSource } from '../../auth/account-source.ts'
import { systemClock } from '../../base/clock.ts'
import { AuthError, RemoteError, StoreError, SyntaxFault } from '../../base/errors.ts'
import { silentLog } from '../../base/log.ts'
import { type Config, findingAt } from '../../config/config.ts'
import { ConfigError, formatFinding } from '../../config/finding.ts'
import { loadConfig } from '../../config/ms-conf.ts'
import { storePlaces } from '../../server/mail-store.ts'
import { exitCodes } from '../../server/process.ts'
import { createQuotas } from '../../server/quotas.ts'
import { openStore } from '../../store/store.ts'
import type { Store } from '../../store/types.ts'
import { type Command, CommandError, type Context, UsageError } from './command.ts'
import { commands } from './commands.ts'
import { completion } from './completion.ts'
import { type Lines, LineTooLong, readLines, withoutEcho } from './input.ts'
import { screenOn } from './screen.ts'
import { splitWords } from './words.ts'

export interface Surroundings {
  readonly input: Readable & { readonly isTTY?: boolean }
  readonly out: Writable
  readonly err: Writable & { readonly isTTY?: boolean }
  /** Called before anything is read or written that the configuration names. */
  readonly become?: (config: Config) => void
}

export const usage = `msadm: accounts and mail of the message store

  msadm [-c FILE] [--json] COMMAND ...        runs one command
  msadm [-c FILE] [--json]                    runs the commands on standard input, one a line

${commands.map((command) => `  ${command.usage}\n      ${command.summary}`).join('\n')}

  -c FILE            configuration file (default /etc/isode/ms.conf)
  --json             (also behind the command) one JSON object a line, also for errors
  --help             this, or after a command the help of that command
  --completion SHELL prints the completion for bash or zsh: source <(msadm --completion bash)

On standard input a line that begins with # is a comment; words with blanks are put in '...' or "...", and a
backslash takes the next character as it is. A command that fails does not stop the others.
A password in the arguments can be seen by other users of the machine: -p - reads it from standard input, there the next line.

Examples
  msadm add -p - joe@example.org              msadm add -d joe@example.org mailRoutingAddress=joe@example.com
  msadm list -v -u ^joe                       msadm del -k joe@example.org
  msadm move joe@example.org /mnt/disk2/user

Exit status: 0 done, 1 a command failed, 64 wrong arguments, 78 wrong configuration
`

/** Runs msadm; answers its exit status. */
export const msadm = async (argv: readonly string[], { input, out, err, become }: Surroundings): Promise<number> => {
  const json = argv.includes('--json')
  const fail = (message: string, status: number, command?: string): number => {
    if (json) out.write(`${JSON.stringify({ command, error: message })}\n`)
    else err.write(`msadm: ${command === undefined ? '' : `${command}: `}${message}\n`)
    return status
  }
  try {
    const invocation = readGlobals(argv)
    if (invocation.help) {
      out.write(usage)
      return 0
    }
    if (invocation.completion !== undefined) {
      out.write(completion(invocation.completion))
      return 0
    }
    const { config, warnings } = await loadConfig(invocation.configFile)
    for (const warning of warnings) err.write(`msadm: ${formatFinding(warning)}\n`)

    become?.(config)
    const lines = readLines(input)
    let store: Store | undefined
    const accounts = openAccountSource({ config, log: silentLog, clock: systemClock, patient: true })
    const context: Context = {
      config,
      accounts,
      quotas: createQuotas({ config: () => config, accounts, clock: systemClock }),
      json,
      store: () => {
        store ??= context.openStore()
        return store
      },
      openStore: () =>
        openStore({
          ...storePlaces(config, accounts),
          clock: systemClock,
          log: silentLog,
          undeleteDays: () => config.get('undelete_days'),
        }),
      print: (text, values) => out.write(json ? `${JSON.stringify(values)}\n` : `${text}\n`),
      write: async (text) => {
        if (!out.write(text)) await once(out, 'drain')
      },
      note: (text) => json || err.write(`msadm: ${text}\n`),
      showProgress: (wanted) => {
        if (err.isTTY) return (text) => err.write(`\r${text}\x1b[K`)
        return wanted ? (text) => text !== '' && err.write(`msadm: ${text}\n`) : undefined
      },
      showScreen: () => (err.isTTY && !json ? screenOn(err) : undefined),
      input,
      readLine: async () => {
        const line = await lines.next()
        if (line === undefined) throw new UsageError('standard input has no line with the answer')
        return line.toString('utf8').trim()
      },
      readPassword: async () => {
        if (input.isTTY) err.write('Password: ')
        const line = await withoutEcho(input, () => lines.next())
        if (input.isTTY) err.write('\n')
        if (line === undefined) throw new UsageError('standard input has no line with the password')
        return line
      },
    }
    try {
      if (invocation.words.length > 0) return await runOne(invocation.words, context, out, fail)
      return await runLines(lines, context, out, (message, status, command) =>
        fail(`line ${lines.number}: ${message}`, status, command),
      )
    } finally {
      await store?.close()
      await accounts.close()
    }
  } catch (error) {
    if (error instanceof ConfigError) return fail(error.message, exitCodes.config)
    if (error instanceof UsageError) return fail(`${error.message}; msadm help shows what there is`, exitCodes.usage)
    throw error
  }
}

interface Invocation {
  readonly configFile: string | undefined
  readonly help: boolean
  readonly completion: string | undefined
  /** The command and its arguments; none: they come on standard input. */
  readonly words: readonly string[]
}

/** `--json` may stand behind the command as well. */
const withoutJson = (words: readonly string[]) => {
  const end = words.indexOf('--')
  return words.filter((word, index) => word !== '--json' || (end >= 0 && index > end))
}

/** The other switches of msadm itself stand before the command. */
const readGlobals = (argv: readonly string[]): Invocation => {
  let configFile: string | undefined
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index]!
    const rest = () => ({ configFile, help: false, completion: undefined })
    if (word === '--json') continue
    if (word === '-c') {
      configFile = argv[++index]
      if (configFile === undefined) throw new UsageError('-c needs the name of a configuration file')
    } else if (word === '--help' || word === '-h') return { ...rest(), help: true, words: [] }
    else if (word === '--completion') return { ...rest(), completion: argv[index + 1] ?? '', words: [] }
    else if (word.startsWith('-')) throw new UsageError(`${JSON.stringify(word)} is not known before a command`)
    else if (word === 'help') {
      const asked = argv.slice(index + 1)
      return asked.length === 0 ? { ...rest(), help: true, words: [] } : { ...rest(), words: [...asked, '--help'] }
    } else return { ...rest(), words: withoutJson(argv.slice(index)) }
  }
  return { configFile, help: false, completion: undefined, words: [] }
}

type Fail = (message: string, status: number, command?: string) => number

const runOne = async (words: readonly string[], context: Context, out: Writable, fail: Fail): Promise<number> => {
  const [name = '', ...args] = words
  const command = commands.find((candidate) => candidate.name === name)
  if (command === undefined)
    return fail(
      `${JSON.stringify(name.slice(0, 60))} is not a command; msadm help shows what there is`,
      exitCodes.usage,
    )
  if (args.includes('--help')) {
    out.write(commandHelp(command))
    return 0
  }
  try {
    await command.run(args, context)
    return 0
  } catch (error) {
    if (error instanceof UsageError)
      return fail(`${error.message}\nusage: msadm ${command.usage}`, exitCodes.usage, name)
    if (error instanceof CommandError) return fail(error.message, error.status, name)
    if (
      error instanceof SyntaxFault ||
      error instanceof StoreError ||
      error instanceof AuthError ||
      error instanceof RemoteError
    )
      return fail(explained(error, context.config), 1, name)
    if ('code' in (error as Error)) return fail(explained(error as Error, context.config), 1, name)
    throw error
  }
}

const denied = ['EACCES', 'EPERM', 'EROFS']

/** What the system refused, with the option that names the directory, its owner and what to do. */
const explained = (error: Error, config: Config): string => {
  const { code, path = '' } = ((error.cause as Error | undefined) ?? error) as NodeJS.ErrnoException
  if (code === undefined || !denied.includes(code)) return error.message
  const option = (['account_db', 'userdir', 'oauth_state'] as const).find((option) =>
    path.startsWith(dirname(config.get(option))),
  )
  const user = config.get('ms_user')
  const place = option === undefined ? path : formatFinding(findingAt(config, 'error', option, config.get(option)))
  return `${place} is not open to this user (${code}); run msadm as ${user} (ms_user) or root, or give the directory to ${user}`
}

const commandHelp = ({ usage, summary, details }: Command) => `msadm ${usage}\n\n${summary}\n\n${details}\n`

/** A worse status of one line is the status of all. */
const runLines = async (lines: Lines, context: Context, out: Writable, fail: Fail): Promise<number> => {
  let status = 0
  for (;;) {
    try {
      const line = await lines.next()
      if (line === undefined) return status
      const words = splitWords(line.toString('utf8'))
      if (words.length > 0) status = Math.max(status, await runOne(words, context, out, fail))
    } catch (error) {
      if (error instanceof LineTooLong) return fail(error.message, exitCodes.usage)
      if (!(error instanceof UsageError)) throw error
      status = Math.max(status, fail(error.message, exitCodes.usage))
    }
  }
}
