import type { AccountRecord } from '../../../auth/accounts.ts'
import { StoreError } from '../../../base/errors.ts'
import type { UserId } from '../../../base/ids.ts'
import { type Command, type Context, readArguments, UsageError } from '../command.ts'

const expression = (text: string | undefined, option: string): RegExp | undefined => {
  if (text === undefined) return undefined
  try {
    return new RegExp(text, 'u')
  } catch (error) {
    throw new UsageError(`${option}: ${(error as Error).message}`)
  }
}

/** Which verifiers there are; never the verifiers themselves. */
const passwordSchemes = ({ verifiers, passwordSchemes = [] }: AccountRecord): readonly string[] =>
  verifiers === undefined
    ? passwordSchemes
    : [
        'SCRYPT',
        ...(verifiers.scramSha1 === undefined ? [] : ['SCRAM-SHA-1']),
        ...(verifiers.scramSha256 === undefined ? [] : ['SCRAM-SHA-256']),
      ]

/** With partitions or archives: the directory that the mail is in, or why there is none to tell. */
const placeOf = async (userId: UserId, context: Context): Promise<string> => {
  try {
    const { root, exists } = await context.store().account(userId).locate()
    return exists ? root : 'none yet'
  } catch (error) {
    if (error instanceof StoreError) return error.message
    throw error
  }
}

export const list: Command = {
  name: 'list',
  usage: 'list [-d regex] [-u regex] [-v] [-p]',
  summary: 'lists accounts',
  details: `  -d regex     those whose domain matches
  -u regex     those whose name before the @ matches; expressions match anywhere unless they have ^ or $
  -v           also state, rules for services, properties, and with partitions or archives the directory that has the mail
  -p           also how the password is stored (never the password, nor its verifiers)`,
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, {
      d: { type: 'string', short: 'd' },
      u: { type: 'string', short: 'u' },
      v: { type: 'boolean', short: 'v' },
      p: { type: 'boolean', short: 'p' },
    })
    if (positionals.length > 0) throw new UsageError('list takes no userid; -u and -d choose')
    const domain = expression(values.d, '-d')
    const local = expression(values.u, '-u')
    const chosen: AccountRecord[] = []
    for await (const account of context.accounts.list()) {
      const at = account.userId.lastIndexOf('@')
      if (local !== undefined && !local.test(account.userId.slice(0, at))) continue
      if (domain !== undefined && !domain.test(account.userId.slice(at + 1))) continue
      chosen.push(account)
    }
    chosen.sort((a, b) => (a.userId < b.userId ? -1 : 1))
    for (const account of chosen) {
      const { userId, state, services, properties } = account
      const schemes = passwordSchemes(account)
      const lines = [userId as string]
      const mail =
        values.v && context.store().roots.length + context.store().archives.length > 1
          ? await placeOf(userId, context)
          : undefined
      if (values.v) {
        lines.push(`  state: ${state}`)
        for (const [service, access] of Object.entries(services)) lines.push(`  service ${service}: ${access}`)
        for (const [name, value] of properties) lines.push(`  ${name}: ${value}`)
        if (mail !== undefined) lines.push(`  mail: ${mail}`)
      }
      if (values.p) lines.push(`  userPassword: ${schemes.length === 0 ? 'none' : schemes.join(' ')}`)
      context.print(lines.join('\n'), {
        userId,
        state,
        ...(values.v && { services, properties, ...(mail !== undefined && { mail }) }),
        ...(values.p && { userPassword: schemes }),
      })
    }
  },
}
