/** Command line of every daemon: cli.md §1, SRV-08. */
import { parseArgs } from 'node:util'

export interface DaemonArguments {
  /** -d */
  readonly foreground: boolean
  /** -c; undefined: the default file, or built-in defaults. */
  readonly configFile: string | undefined
  /** -s */
  readonly label: string | undefined
  readonly help: boolean
}

/** Throws Error with the switch at fault. */
export function parseDaemonArguments(argv: readonly string[]): DaemonArguments {
  const { values } = parseArgs({
    args: [...argv],
    strict: true,
    allowPositionals: false,
    options: {
      d: { type: 'boolean', short: 'd' },
      c: { type: 'string', short: 'c' },
      s: { type: 'string', short: 's' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  return { foreground: values.d ?? false, configFile: values.c, label: values.s, help: values.help ?? false }
}

/** What --help prints. */
export const daemonUsage = (name: string): string => `${name}: a service of Wherry

  ${name} [-d] [-c FILE] [-s LABEL]

  -d        stay in the foreground and log to stderr
  -c FILE   configuration file (default /etc/isode/ms.conf, or built-in defaults when that does not exist)
  -s LABEL  marks this instance's log records

Without -d it goes into the background once it answers, with its pid and its log in run_dir. SIGTERM stops it, SIGHUP
makes it read its configuration and certificates again and go on in a new log file.
WHERRY_LOG_LEVEL=crit|err|warning|notice|info|debug and WHERRY_LOG_FORMAT=text|json choose what is logged, and how.

Examples
  ${name} -d -c /etc/isode/ms.conf        kill -HUP $(cat /var/run/${name}.pid)

Exit status: 0 stopped as asked, 64 wrong arguments, 69 it could not start, 70 it failed, 78 wrong configuration
`
