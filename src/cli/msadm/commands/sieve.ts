import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { StoreError } from '../../../base/errors.ts'
import { parseSieveUrl } from '../../../proto/managesieve/url.ts'
import { compile } from '../../../sieve/compile.ts'
import type { ScriptProblem } from '../../../sieve/types.ts'
import { type ScriptLimits, type Scripts, scriptsOf } from '../../../store/scripts.ts'
import { type Command, CommandError, type Context, canonical, readArguments, UsageError } from '../command.ts'

/** Operators are not bound to what keeps ManageSieve clients in check, sieve_maxscripts and sieve_maxscriptsize. */
const limits: ScriptLimits = { scripts: 1_000, octets: 1_048_576 }

export const sieve: Command = {
  name: 'sieve',
  usage: 'sieve list|get|put|activate|deactivate|rename|remove userid …',
  summary: "a user's Sieve scripts",
  words: ['list', 'get', 'put', 'activate', 'deactivate', 'rename', 'remove', '--activate'],
  details: `  list userid                  all scripts, with their sizes, and which one is active
  get userid [name]            prints one, or the active one
  put userid name [file]       keeps a file, or standard input, under this name when it can be run; --activate: and makes it the active one
  activate userid name         the next message is filtered by it
  deactivate userid            no script is active
  rename userid old new        an active one stays so
  remove userid name           not the active one

In the place of userid and name there may be a URL, sieve://host/userid/name, whose host is passed over.

Exit status: 0 done; 1 it can't be done, or the script has errors, which are told with their lines; 64 wrong arguments.

Examples
  msadm sieve put joe@example.org work work.sieve --activate
  msadm sieve get joe@example.org > joe.sieve`,
  run: async (args, context) => {
    const { positionals, values } = readArguments(args, { activate: { type: 'boolean', default: false } })
    const [action, ...words] = positionals
    const verb = verbs.get(action ?? '')
    if (verb === undefined)
      throw new UsageError(`one of ${[...verbs.keys()].join(', ')} is needed, for example: sieve list joe@example.org`)
    if (values.activate && action !== 'put') throw new UsageError('--activate is a switch of put')
    const [given, ...names] = withoutUrl(words)
    if (given === undefined) throw new UsageError('a userid is missing, for example joe@example.org')
    if (names.length < verb.atLeast) throw new UsageError(`${action} needs the name of a script; sieve list shows them`)
    if (names.length > verb.atMost) throw new UsageError(`${JSON.stringify(names[verb.atMost])} is one word too many`)
    const userId = canonical(given, context)
    const account = context.store().account(userId)
    if (!(await account.exists())) {
      // His mail directory comes with the first login or message; a script may be there before.
      if (action !== 'put' || (await context.accounts.find(userId)) === undefined)
        throw new CommandError(`there is no mail of ${userId}`)
      await account.ensure()
    }
    try {
      await verb.run({ scripts: scriptsOf(account), userId, names, activate: values.activate, context })
    } catch (error) {
      throw error instanceof StoreError ? new CommandError(error.message) : error
    }
  },
}

interface Task {
  readonly scripts: Scripts
  readonly userId: string
  readonly names: readonly string[]
  readonly activate: boolean
  readonly context: Context
}

interface Verb {
  readonly atLeast: number
  readonly atMost: number
  run(task: Task): Promise<void>
}

const verb = (atLeast: number, atMost: number, run: Verb['run']): Verb => ({ atLeast, atMost, run })

const verbs: ReadonlyMap<string, Verb> = new Map([
  ['list', verb(0, 0, list)],
  ['get', verb(0, 1, get)],
  ['put', verb(1, 2, put)],
  [
    'activate',
    verb(1, 1, async ({ scripts, userId, names: [name], context }) => {
      await scripts.activate(name)
      context.print(`${name} is active`, { userId, name, active: true })
    }),
  ],
  [
    'deactivate',
    verb(0, 0, async ({ scripts, userId, context }) => {
      await scripts.activate(undefined)
      context.print('no script is active', { userId, active: false })
    }),
  ],
  [
    'rename',
    verb(2, 2, async ({ scripts, userId, names: [from, to], context }) => {
      await scripts.rename(from!, to!)
      context.print(`${from} is ${to} now`, { userId, name: to })
    }),
  ],
  [
    'remove',
    verb(1, 1, async ({ scripts, userId, names: [name], context }) => {
      await scripts.remove(name!)
      context.print(`${name} is removed`, { userId, name })
    }),
  ],
])

async function list({ scripts, userId, context: { print } }: Task): Promise<void> {
  const all = await scripts.list()
  for (const { name, octets, isActive } of all)
    print(`${name} ${octets} octets${isActive ? ' active' : ''}`, { userId, name, octets, active: isActive })
  if (all.length === 0) print(`${userId} has no scripts`, { userId, scripts: 0 })
}

async function get({ scripts, userId, names: [name], context }: Task): Promise<void> {
  const active = name === undefined ? await scripts.findActive() : undefined
  if (name === undefined && active === undefined) throw new CommandError(`${userId} has no active script`)
  const text = active?.text ?? (await scripts.get(name!))
  if (context.json) context.print('', { userId, name: active?.name ?? name, text })
  else await context.write(text)
}

async function put({ scripts, userId, names: [name, file], activate, context }: Task): Promise<void> {
  const octets = file === undefined || file === '-' ? await buffer(context.input) : await readScript(file)
  if (octets.length === 0) throw new CommandError('the script is empty')
  const compiled = compile(octets)
  for (const problem of compiled.warnings) context.note(`warning: ${told(problem)}`)
  if ('errors' in compiled) throw new CommandError(`the script is not kept:\n${compiled.errors.map(told).join('\n')}`)
  await scripts.put(name!, octets.toString(), limits)
  if (activate) await scripts.activate(name)
  context.print(`${name} is kept${activate ? ' and active' : ''}`, {
    userId,
    name,
    octets: octets.length,
    active: activate,
  })
}

const told = ({ line, column, text }: ScriptProblem): string => `line ${line}, column ${column}: ${text}`

async function readScript(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    throw new CommandError(`${file} can't be read: ${(error as Error).message}`)
  }
}

/** RFC 5804 §3 */
function withoutUrl([first, ...rest]: readonly string[]): readonly string[] {
  if (first === undefined || !/^sieve:\/\//i.test(first)) return first === undefined ? [] : [first, ...rest]
  const { user, owner, script } = parseSieveUrl(first)
  const userId = owner ?? user
  if (userId === undefined || userId === '') throw new UsageError('the URL names no user: sieve://host/userid/name')
  return [userId, ...(script === undefined ? [] : [script]), ...rest]
}
