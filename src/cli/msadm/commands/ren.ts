import { join } from 'node:path'
import type { AccountRecord } from '../../../auth/accounts.ts'
import type { UserId } from '../../../base/ids.ts'
import { pidStateOf } from '../../../server/pid-file.ts'
import { AwaitedRightsDirectory, awaitedRightsName } from '../../../sharing/awaited-rights.ts'
import { renameInAcls } from '../../../sharing/personal-acl.ts'
import { gatewayName } from '../../../store/places.ts'
import type { Account, Store } from '../../../store/types.ts'
import {
  type Command,
  CommandError,
  type Context,
  canonical,
  checkNewUserId,
  onlyUserId,
  readArguments,
  UsageError,
} from '../command.ts'

/** Value of the account's own log, which goes along with the mail: a rename that has not come to its end. */
const key = 'renaming'

interface Renaming {
  readonly from: UserId
  readonly to: UserId
  /** Of the account, which nobody can log in to meanwhile. Undefined: there is none. */
  readonly state?: AccountRecord['state']
}

export const ren: Command = {
  name: 'ren',
  usage: 'ren -l new_userid userid',
  summary: 'gives a user another name: the account and the mail together',
  details: `  -l new_userid  the new name

While it goes on nobody can log in under either name; sessions of the user end with a temporary error. When it is interrupted, by a crash or
a power cut, the same command goes on where it was. Messages, flags and UIDs stay as they are; the addresses mail and mailLocalAddress follow
where they had the old name, and mail for the old name is not known any more: msadm add -f -d or the directory can keep it as another
mailLocalAddress. Rights that others gave under the old name, and that the user gave, stay. Groups and the access lists of shared roots, in
ms.conf or the directory, are not changed, and neither are backends in ms_sync.xml.

Examples
  msadm ren -l jane.doe@example.org jane.roe@example.org`,
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, { l: { type: 'string', short: 'l' } })
    if (values.l === undefined) throw new UsageError('-l new_userid is needed')
    const from = canonical(onlyUserId(positionals), context)
    const to = canonical(values.l, context)
    checkNewUserId(to)
    if (from === to) throw new UsageError(`both names are ${to}`)
    checkGateway(context)
    const store = context.store()
    const begun = await findBegun(store, from, to)
    const renaming = begun ?? (await begin(from, to, context))
    await finish(renaming, context)
    const what = renaming.state === undefined ? 'mail' : 'account and mail'
    context.print(`renamed ${from} to ${to} (${what})`, { userId: to, from, account: renaming.state !== undefined })
  },
}

/** ms_syncd would go on fetching for the old name, into mail that it made again. */
const checkGateway = ({ config, note }: Context): void => {
  if (!config.get('gateway_mode') && !config.get('sync_mode')) return
  if (pidStateOf(config.get('run_dir'), 'ms_syncd').kind !== 'stopped')
    throw new CommandError(
      'ms_syncd runs, and would fetch for the old name; stop it (on every machine), and start it again afterwards',
    )
  note(
    'ms_syncd must not run on another machine meanwhile; a record of the user in ms_sync.xml has to get the new name',
  )
}

const renamingOf = async (account: Account): Promise<Renaming | undefined> =>
  (await account.exists()) ? ((await account.get(key)) as Renaming | undefined) : undefined

/** The same one, interrupted. Throws CommandError for another one of these names. */
const findBegun = async (store: Store, from: UserId, to: UserId): Promise<Renaming | undefined> => {
  for (const userId of [from, to]) {
    const found = await renamingOf(store.account(userId))
    if (found === undefined) continue
    if (found.from === from && found.to === to) return found
    throw new CommandError(`finish first what was interrupted: msadm ren -l ${found.to} ${found.from}`)
  }
  return undefined
}

const begin = async (from: UserId, to: UserId, { accounts, store }: Context): Promise<Renaming> => {
  const [account, other] = await Promise.all([accounts.find(from), accounts.find(to)])
  const mail = store().account(from)
  if (account === undefined && !(await mail.exists())) throw new CommandError(`there is no account ${from}`)
  if (other !== undefined && other.userId !== account?.userId) throw new CommandError(`the account ${to} exists`)
  if (await store().account(to).exists())
    throw new CommandError(`there is mail of ${to}; msadm del removes it, or choose another name`)
  await mail.ensure()
  const renaming: Renaming = { from, to, ...(account !== undefined && { state: account.state }) }
  await mail.put({ [key]: renaming })
  return renaming
}

const awaitedRights = ({ config }: Context): AwaitedRightsDirectory =>
  new AwaitedRightsDirectory(join(config.get('userdir'), gatewayName, awaitedRightsName))

/** Every step may have been done before. */
const finish = async ({ from, to, state }: Renaming, context: Context): Promise<void> => {
  const { accounts, store } = context
  const mail = store().account(to)
  const hasMail = (await renamingOf(mail)) !== undefined
  const hasAccount = state === undefined || (await accounts.find(to))?.userId === to
  // With both done, whatever has the old name is a new user's.
  if (!hasMail || !hasAccount) {
    const old = await accounts.find(from)
    // From here on no session begins that would make the mail again under the old name.
    if (old !== undefined && state !== undefined && old.state !== 'disabled')
      await accounts.put({ ...old, state: 'disabled' })
    if (!hasMail) await store().rename(from, to)
    if (!hasAccount) await accounts.rename(from, to)
  }
  // Before anybody logs in: the user would not have them, and might be given others meanwhile.
  await renameInAcls(store(), from, to)
  await awaitedRights(context).renameOwner(from, to)
  if (state !== undefined) {
    const account = await accounts.find(to)
    if (account === undefined)
      throw new CommandError(`the account ${to} is not found under its new name; see why, and do the same again`)
    const properties = account.properties.map(
      ([name, value]) => [name, isAddress(name) && value === from ? to : value] as const,
    )
    await accounts.put({ ...account, state, properties })
  }
  await mail.put({ [key]: undefined })
}

const isAddress = (name: string): boolean => ['mail', 'maillocaladdress'].includes(name.toLowerCase())
