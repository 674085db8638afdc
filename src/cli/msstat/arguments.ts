/** Command line of msstat. MON-01 to MON-04, GW-06 */
import { parseArgs } from 'node:util'

export interface Arguments {
  readonly configFile: string | undefined
  /** What to do; `users`, `backends` and `follow` carry the argument of -u, -b and -f, `raise` the user of -e. */
  readonly action:
    | { readonly kind: 'services' }
    | { readonly kind: 'users'; readonly pattern: RegExp }
    | { readonly kind: 'backends'; readonly pattern: RegExp }
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
  msstat -b REGEX [--json] [-c FILE]          backends of the users that match: state, last and next look, what came
  msstat -f USER|mbox:USER|backend:USER|ALL   events as they happen, until interrupted
  msstat -e ms_sync:USER [...]                has ms_syncd synchronise a connected user now

  -u REGEX  plain text matches anywhere in the name; ^joe@ finds the names that begin so; . all logged in users
  -b REGEX  the same for the users of ms_syncd; . all of them; totals and hosts that are held follow
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
  const actions = (['u', 'b', 'f', 'e'] as const).filter((name) => values[name] !== undefined)
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
        b: { type: 'string', short: 'b' },
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

function actionOf({
  u,
  b,
  f,
  e,
}: {
  readonly u?: string
  readonly b?: string
  readonly f?: string
  readonly e?: string
}): Arguments['action'] {
  if (u !== undefined) return { kind: 'users', pattern: patternOf('-u', u) }
  if (b !== undefined) return { kind: 'backends', pattern: patternOf('-b', b) }
  if (f !== undefined) {
    if (f === '') throw new UsageError('-f takes USER, mbox:USER, backend:USER or ALL')
    return { kind: 'follow', topic: f }
  }
  if (e !== undefined) {
    if (!/^ms_sync:./.test(e)) throw new UsageError('-e takes ms_sync:USER, for example ms_sync:joe@example.org')
    return { kind: 'raise', user: e.slice('ms_sync:'.length) }
  }
  return { kind: 'services' }
}

function patternOf(name: string, text: string): RegExp {
  try {
    return new RegExp(text)
  } catch (error) {
    throw new UsageError(`${name}: ${(error as Error).message}`)
  }
}
