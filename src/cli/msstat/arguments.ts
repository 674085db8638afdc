/** Command line of msstat. MON-01 to MON-04, GW-06 */
import { parseArgs } from 'node:util'

export interface Arguments {
  readonly configFile: string | undefined
  /** What to do; `users` and `follow` carry the argument of -u and -f, `raise` the user of -e. */
  readonly action:
    | { readonly kind: 'services' }
    | { readonly kind: 'users'; readonly pattern: RegExp }
    | { readonly kind: 'follow'; readonly topic: string }
    | { readonly kind: 'raise'; readonly user: string }
    | { readonly kind: 'help' }
  readonly pretty: boolean
  readonly numeric: boolean
  readonly serverHost: boolean
  readonly json: boolean
}

export const usage = `msstat: what the mail services are doing

  msstat [-p] [-n] [-d] [--json] [-c FILE]    running services
  msstat -u REGEX [...]                       client connections of the users that match
  msstat -f USER|mbox:USER|ALL [...]          events as they happen, until interrupted
  msstat -e ms_sync:USER [...]                has ms_syncd synchronise a connected user now

  -u REGEX  plain text matches anywhere in the name; ^joe@ finds the names that begin so; . all logged in users
  -p        also the date and time of the start
  -n        client addresses instead of host names
  -d        with -u: also the server host that the user is connected to
  --json    one JSON object a line; times in milliseconds since 1970, durations in seconds
  -c FILE   configuration file, for msevent_host and msevent_port (default /etc/isode/ms.conf)

Examples
  msstat -p                        msstat -u ^joe@example.org -n
  msstat -f ALL                    msstat -e ms_sync:joe@example.org

Exit status: 0 done, 1 mseventd can't be reached or the event reached nobody, 64 wrong arguments,
78 wrong configuration
`

/** The arguments can't be used; the message says what would be right. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export function parseArguments(argv: readonly string[]): Arguments {
  const { values } = read(argv.length === 1 && argv[0] === 'help' ? ['--help'] : argv)
  const actions = (['u', 'f', 'e'] as const).filter((name) => values[name] !== undefined)
  if (actions.length > 1) throw new UsageError(`-${actions.join(' and -')} can't be used together`)
  return {
    configFile: values.c,
    action: values.help ? { kind: 'help' } : actionOf(values),
    pretty: values.p ?? false,
    numeric: values.n ?? false,
    serverHost: values.d ?? false,
    json: values.json ?? false,
  }
}

function read(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      strict: true,
      allowPositionals: false,
      options: {
        p: { type: 'boolean', short: 'p' },
        n: { type: 'boolean', short: 'n' },
        d: { type: 'boolean', short: 'd' },
        u: { type: 'string', short: 'u' },
        f: { type: 'string', short: 'f' },
        e: { type: 'string', short: 'e' },
        c: { type: 'string', short: 'c' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function actionOf({ u, f, e }: { readonly u?: string; readonly f?: string; readonly e?: string }): Arguments['action'] {
  if (u !== undefined) {
    try {
      return { kind: 'users', pattern: new RegExp(u) }
    } catch (error) {
      throw new UsageError(`-u: ${(error as Error).message}`)
    }
  }
  if (f !== undefined) {
    if (f === '') throw new UsageError('-f takes USER, mbox:USER or ALL')
    return { kind: 'follow', topic: f }
  }
  if (e !== undefined) {
    if (!/^ms_sync:./.test(e)) throw new UsageError('-e takes ms_sync:USER, for example ms_sync:joe@example.org')
    return { kind: 'raise', user: e.slice('ms_sync:'.length) }
  }
  return { kind: 'services' }
}
