import { serviceAccess } from '../../../auth/access.ts'
import type { Access, ServiceName } from '../../../config/options/domains.ts'
import { type Command, CommandError, canonical, readArguments, UsageError } from '../command.ts'

const services: readonly ServiceName[] = ['imap', 'pop', 'sieve']
/** What becomes of the user's own rule. */
const rules: Readonly<Record<string, Access | 'default' | 'query'>> = {
  grant: 'allow',
  allow: 'allow',
  deny: 'deny',
  default: 'default',
  query: 'query',
}

export const service: Command = {
  name: 'service',
  usage: 'service imap|pop|sieve grant|allow|deny|default|query userid',
  summary: 'lets a user use a service, refuses it, or tells which it is',
  words: [...services, ...Object.keys(rules)],
  details: `  grant, allow a rule of the user's own that lets him in
  deny         one that refuses him
  default      takes the user's own rule away: accessible_services counts, and for services that it does not name default_new_service_access
  query        tells what is in force: explicit, by a rule of the user's own, or implicit

sieve is the access to Sieve scripts. A user who is connected stays connected; the next login is refused.

Examples
  msadm service pop deny joe@example.org      msadm service pop query joe@example.org`,
  run: async (args, context) => {
    const { positionals } = readArguments(args, {})
    const [name, word, given, ...more] = positionals
    const known = services.find((known) => known === name)
    if (known === undefined) throw new UsageError(`the service is one of ${services.join(', ')}`)
    const rule = word !== undefined && Object.hasOwn(rules, word) ? rules[word] : undefined
    if (rule === undefined) throw new UsageError(`behind the service comes one of ${Object.keys(rules).join(', ')}`)
    if (given === undefined) throw new UsageError('a userid is missing, for example joe@example.org')
    if (more.length > 0) throw new UsageError(`${JSON.stringify(more[0])} is one word too many`)
    const userId = canonical(given, context)
    const account = await context.accounts.find(userId)
    if (account === undefined) throw new CommandError(`there is no account ${userId}; msadm add makes one`)
    const { [known]: own, ...others } = account.services
    const access = rule === 'query' ? own : rule === 'default' ? undefined : rule
    if (rule !== 'query')
      await context.accounts.put({
        ...account,
        services: access === undefined ? others : { ...others, [known]: access },
      })
    const inForce = serviceAccess(context.config, known, access === undefined ? {} : { [known]: access })
    const kind = access === undefined ? 'implicit' : 'explicit'
    context.print(`${userId}: ${known} ${inForce} (${kind})`, { userId, service: known, access: inForce, kind })
  },
}
