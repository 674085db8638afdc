import { connected } from '../../event-bus.ts'
import { type Reading, readAccountsFile } from '../accounts-file.ts'
import {
  type Command,
  type Context,
  canonical,
  checkNewUserId,
  passwordOf,
  readArguments,
  UsageError,
  usable,
} from '../command.ts'
import { foreseeAll } from '../dry-run.ts'
import { untilInterrupted } from '../interrupt.ts'
import { migrateAll, migrateAnew, migrateOne, type User } from '../migrating.ts'
import { aboutRecords, type Verb } from '../migration-records.ts'
import { checkOwnRoot, readProperty } from './add.ts'
import { readConnections } from './expire-mail.ts'

/** Chapter 8, step 3. MIG-08, MIG-09; docs/decisions/0264-switches-of-msadm-migrate.md */
export const migrate: Command = {
  name: 'migrate',
  usage:
    'migrate {[-p password] userid [name=value ...] [--restart | --discard-local] | -f file [-n number] [--restart]} [-q | --dry-run]\n       msadm migrate {--list | --pause | --resume} [userid ...]',
  summary: "pulls users' mail from the old server now, and enables the accounts",
  details: `  -p password      the user's, at the old server and then here; -p - reads it from standard input. Without it the mail is pulled by
                   the master user, or token, of the user's record in ms_sync.xml, and the account is made at the first login
  -q               tells nothing until it is done
  --restart        asks the old server for everything that is not here, also of users who were moved; mail that is here stays
  --discard-local  begins anew: when all has been pulled, mail that is here is removed for good, and all is pulled again
  -f file          all users of a CSV file in UTF-8, whose first line names the columns: userid, password (or none, as without -p), and properties
  -n number        with -f: users at the same time, 0 is 4
  name=value       properties of the account, as for msadm add
  --dry-run        tells what would happen, by a login at the old server and its listings; nothing is changed there or here, and nothing remembered
  --list           migrations and their states, of these users or of all
  --pause          stops them until somebody lets them go on, also over restarts; logins of users who have no account yet are refused meanwhile
  --resume         lets those go on that were paused or failed, where the password is kept (migration_key_file) or none is needed; without userids all of them, but for members of a wave that wait for their turn

The old server is that of ms_syncd (ms_syncd_host, or the user's record in ms_sync.xml), which has to run with auto_migrate; nothing is changed there.
What broke off, or was interrupted here, goes on by itself, and where it was when the same command is given again: mail that is here stays, whoever put it there, and only what is
missing comes. The account may exist, waiting (msadm add -m) or not: it is enabled and gets this password when all mail is here. With -f nobody is migrated unless every line can be
used, and users whose account is enabled are left as they are, but for --restart: the same file can be given again.
Exit status: 0 done; 1 some users were not, or would not be; they are told.

Examples
  msadm migrate -p - joe@example.org        msadm --json migrate -p secret joe@example.org mailRoutingAddress=joe@example.com
  msadm migrate -f users.csv --dry-run      msadm migrate -f users.csv -n 8
  msadm migrate --pause joe@example.org`,
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, {
      p: { type: 'string', short: 'p' },
      q: { type: 'boolean', short: 'q' },
      'discard-local': { type: 'boolean' },
      restart: { type: 'boolean' },
      f: { type: 'string', short: 'f' },
      n: { type: 'string', short: 'n' },
      list: { type: 'boolean' },
      'dry-run': { type: 'boolean' },
      pause: { type: 'boolean' },
      resume: { type: 'boolean' },
    })
    const verb = verbOf(values)
    if (verb !== undefined) return await aboutRecords(verb, positionals, context)
    const { p, f, n, restart = false, 'discard-local': anew = false, 'dry-run': isDry = false } = values
    if (p !== undefined && f !== undefined) throw new UsageError('-p and -f exclude each other')
    if (restart && anew)
      throw new UsageError('--restart keeps the mail that is here, and --discard-local removes it: give one of them')
    if (f === undefined && n !== undefined) throw new UsageError('-n belongs to -f')
    if (f !== undefined && (anew || positionals.length > 0))
      throw new UsageError('-f takes neither a userid nor --discard-local')
    const atOnce = readConnections(n)
    const one = f === undefined ? await namedUser(positionals, p, context) : undefined
    const several = f === undefined ? [] : await readAccountsFile(f, readingFor(context))
    const goesOn = '; ms_syncd goes on with the pull, and makes the account when all is here: msadm migrate --list'
    await untilInterrupted(`interrupted${isDry ? '' : goesOn}`, async (signal) => {
      await using bus = await connected(context.config, 'msadm')
      const run = { bus, context, signal, quiet: values.q === true }
      if (isDry)
        await foreseeAll(one === undefined ? several : [one], run, {
          atOnce,
          skipsEnabled: f !== undefined && !restart,
          anew,
        })
      else if (one !== undefined) await (anew ? migrateAnew(one, run) : migrateOne(one, run))
      else await migrateAll(several, run, atOnce, restart)
    })
  },
}

/** Which of the questions about records it is. Throws UsageError. */
const verbOf = (values: Readonly<Record<string, unknown>>): Verb | undefined => {
  const verbs = (['list', 'pause', 'resume'] as const).filter((name) => values[name] === true)
  if (verbs.length === 0) return undefined
  const others = Object.keys(values).filter((name) => name !== verbs[0])
  if (others.length > 0) throw new UsageError(`--${verbs[0]} takes users only, and no other switch`)
  return verbs[0]
}

const namedUser = async (
  positionals: readonly string[],
  password: string | undefined,
  context: Context,
): Promise<User> => {
  const [given, ...words] = positionals
  if (given === undefined) throw new UsageError('a userid is missing, for example joe@example.org, or -f file')
  const userId = canonical(given, context)
  checkNewUserId(userId)
  const properties = words.map(readProperty)
  checkOwnRoot(properties, context)
  return {
    given,
    userId,
    password: password === undefined ? undefined : await passwordOf(password, context),
    properties,
  }
}

const readingFor = (context: Context): Reading => ({
  canonical: (given) => canonical(given, context),
  property: (word) => {
    const property = readProperty(word)
    checkOwnRoot([property], context)
    return property
  },
  password: (text) => usable(Buffer.from(text)),
})
