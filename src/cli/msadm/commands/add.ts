import { resolve } from 'node:path'
import type { AccountRecord } from '../../../auth/accounts.ts'
import { routingAttributes } from '../../../auth/routing-attributes.ts'
import { withProperties } from '../../../auth/with-properties.ts'
import { ownRootProperty } from '../../../server/mail-store.ts'
import {
  type Command,
  CommandError,
  type Context,
  canonical,
  checkNewUserId,
  noteGateway,
  onlyUserId,
  passwordOf,
  readArguments,
  UsageError,
} from '../command.ts'

type Property = AccountRecord['properties'][number]

export const readProperty = (word: string): Property => {
  const equals = word.indexOf('=')
  const name = word.slice(0, Math.max(equals, 0))
  if (!/^[A-Za-z][A-Za-z0-9-]{0,63}$/.test(name))
    throw new UsageError(
      `${JSON.stringify(word.slice(0, 60))} is not a property; write name=value, the name in letters, digits and hyphens`,
    )
  if (name.toLowerCase() === 'userpassword') throw new UsageError('a password is given with -p, not as a property')
  const value = word.slice(equals + 1)
  if (value === '' || Buffer.byteLength(value) > 1024 || /\p{Cc}/u.test(value))
    throw new UsageError(`the value of ${name} is empty, has control characters or more than 1024 octets`)
  return [name, value]
}

/** USR-05: mail can only live where every service looks for it. */
export const checkOwnRoot = (given: readonly Property[], { config }: Context): void => {
  const roots = [config.get('userdir'), ...config.all('partitions')]
  for (const [name, value] of given)
    if (name.toLowerCase() === ownRootProperty && !roots.includes(resolve(value)))
      throw new CommandError(
        `${name}: ${value} is neither userdir nor one of the partitions (${roots.join(', ')}); add it to partitions first`,
      )
}

export const add: Command = {
  name: 'add',
  usage: 'add {-p password | -m | -d} [-r | -n] [-f] userid [name=value ...]',
  summary: 'makes an account',
  details: `  -p password  enabled, with this password; -p - reads it from standard input
  -m           disabled, waiting for its migration
  -d           disabled
  -r           with routing attributes (mail, mailLocalAddress); the default unless auto_add_laser_routing is false
  -n           without them
  -f           goes on when the account exists: state, password and the named properties are replaced
  name=value   properties of the account; a name may be given several times. mboxRootUserDir=DIRECTORY: where the mail
               directory is made at the first login, userdir or one of partitions; msadm move moves one that is there`,
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, {
      p: { type: 'string', short: 'p' },
      m: { type: 'boolean', short: 'm' },
      d: { type: 'boolean', short: 'd' },
      r: { type: 'boolean', short: 'r' },
      n: { type: 'boolean', short: 'n' },
      f: { type: 'boolean', short: 'f' },
    })
    if ([values.p !== undefined, values.m, values.d].filter(Boolean).length !== 1)
      throw new UsageError('exactly one of -p password, -m and -d is needed')
    if (values.r && values.n) throw new UsageError('-r and -n exclude each other')
    const userId = canonical(onlyUserId(positionals.slice(0, 1)), context)
    checkNewUserId(userId)
    const given = positionals.slice(1).map(readProperty)
    checkOwnRoot(given, context)
    const routed = values.r || (!values.n && context.config.get('auto_add_laser_routing'))
    const properties = routed ? [...routingAttributes(userId, given), ...given] : given

    const before = values.f ? await context.accounts.find(userId) : undefined
    const password = values.p === undefined ? undefined : await passwordOf(values.p, context)
    const state = password !== undefined ? 'enabled' : values.m ? 'migrating' : 'disabled'
    const account = withProperties({ userId, state }, properties, before)
    if (before !== undefined) await context.accounts.put(account, password)
    else await context.accounts.add(account, password)
    context.print(`added ${userId} (${account.state})`, { userId, state: account.state })
    if (password !== undefined) noteGateway(context)
  },
}
