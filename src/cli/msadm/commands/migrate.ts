import { type Reading, readAccountsFile } from '../accounts-file.ts'
import {
  type Command,
  CommandError,
  type Context,
  canonical,
  checkNewUserId,
  passwordOf,
  readArguments,
  UsageError,
  usable,
} from '../command.ts'
import { connected, migrateAll, migrateAnew, migrateOne, type User } from '../migrating.ts'
import { checkOwnRoot, readProperty } from './add.ts'
import { readConnections } from './expire-mail.ts'

/** Chapter 8, step 3. MIG-08, MIG-09 */
export const migrate: Command = {
  name: 'migrate',
  usage: 'migrate {-p password [--discard-local] userid [name=value ...] | -f file [-n number]} [-q]',
  summary: "pulls users' mail from the old server now, and enables the accounts",
  details: `  -p password      the user's, at the old server and then here; -p - reads it from standard input
  -q               tells nothing until it is done
  --discard-local  begins anew: when all has been pulled, mail that is here is removed for good, and all is pulled again
  -f file          all users of a CSV file in UTF-8, whose first line names the columns: userid, password, and properties
  -n number        with -f: users at the same time, 0 is 4
  name=value       properties of the account, as for msadm add

The old server is that of ms_syncd (ms_syncd_host, or the user's record in ms_sync.xml), which has to run with auto_migrate; nothing is changed there.
What broke off, or was interrupted here, goes on where it was when the same command is given again: mail that is here stays, whoever put it there, and only what is missing
comes. The account may exist, waiting (msadm add -m) or not: it is enabled and gets this password when all mail is here. With -f nobody is migrated unless every line can be
used, and users whose account is enabled are left as they are: the same file can be given again.
Exit status: 0 done; 1 some users were not; they are told.

Examples
  msadm migrate -p - joe@example.org        msadm --json migrate -p secret joe@example.org mailRoutingAddress=joe@example.com
  msadm migrate -f users.csv -n 8`,
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, {
      p: { type: 'string', short: 'p' },
      q: { type: 'boolean', short: 'q' },
      'discard-local': { type: 'boolean' },
      f: { type: 'string', short: 'f' },
      n: { type: 'string', short: 'n' },
    })
    if ((values.p === undefined) === (values.f === undefined))
      throw new UsageError('one of -p password and -f file is needed')
    if (values.f === undefined && values.n !== undefined) throw new UsageError('-n belongs to -f')
    if (values.f !== undefined && (values['discard-local'] || positionals.length > 0))
      throw new UsageError('-f takes neither a userid nor --discard-local')
    const atOnce = readConnections(values.n)
    const one = values.p === undefined ? undefined : await namedUser(positionals, values.p, context)
    const several = values.f === undefined ? [] : await readAccountsFile(values.f, readingFor(context))
    const interrupted = new AbortController()
    const interrupt = () =>
      interrupted.abort(
        new CommandError('interrupted; ms_syncd goes on with the pull, and the account is not made yet'),
      )
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupt)
    try {
      await using bus = await connected(context.config)
      const run = { bus, context, signal: interrupted.signal, quiet: values.q === true }
      if (one !== undefined) await (values['discard-local'] ? migrateAnew(one, run) : migrateOne(one, run))
      else await migrateAll(several, run, atOnce)
    } finally {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, interrupt)
    }
  },
}

const namedUser = async (positionals: readonly string[], password: string, context: Context): Promise<User> => {
  const [given, ...words] = positionals
  if (given === undefined) throw new UsageError('a userid is missing, for example joe@example.org')
  const userId = canonical(given, context)
  checkNewUserId(userId)
  const properties = words.map(readProperty)
  checkOwnRoot(properties, context)
  return { given, userId, password: await passwordOf(password, context), properties }
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
