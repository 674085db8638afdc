/** Checks the store while services work on it: every account, mailbox, message, log and cache. docs/decisions/0111-verify-looks-twice.md */

import type { UserId } from '../../base/ids.ts'
import { unlessAbsent } from '../fs.ts'
import { goneMark } from '../leavings.ts'
import { accountDirectory, accountOf } from '../names.ts'
import { listName, markerName } from '../partitions.ts'
import { gatewayName, placesName } from '../places.ts'
import { removeTree } from '../remove-tree.ts'
import { sharesName } from '../sharers.ts'
import { checkAccount } from './account-check.ts'
import { statuses } from './folders-check.ts'
import { checkPlaces } from './places-check.ts'
import { quarantine, quarantineName } from './quarantine.ts'
import { type Place, Run, type RunOptions } from './run.ts'
import { checkStray } from './stray.ts'

export interface VerifyOptions extends RunOptions {
  /** Directories of accounts. */
  readonly roots: readonly string[]
  /** Directories of accounts that are only read. */
  readonly archives?: readonly string[]
  /** Trees that belong to no user, by the names that they go by; checked with all accounts. */
  readonly trees?: readonly { readonly name: string; readonly directory: string }[]
  /** Only these; all accounts, and what else lies in the roots, when undefined. */
  readonly userIds?: readonly UserId[] | undefined
  /** How many accounts there are, and when one comes to its end. */
  readonly onAccounts?: (accounts: { readonly count: number } | 'ended') => void
}

/** What a file system or the store itself keeps in a root. */
const ownOfRoot: ReadonlySet<string> = new Set([
  quarantineName,
  'lost+found',
  markerName,
  listName,
  placesName,
  gatewayName,
  sharesName,
])

interface FoundAccount {
  readonly run: Run
  readonly userId: UserId
  readonly directory: string
  readonly isTree?: boolean
}

/** Tells what it finds, in the order of the tree. Answers the given user ids that have no mail here. Throws what keeps a root from being read. */
export async function verify(options: VerifyOptions): Promise<readonly UserId[]> {
  const { userIds, roots, archives = [], trees = [] } = options
  const accounts: FoundAccount[] = []
  for (const [run, directories] of [
    [new Run(options), roots],
    [new Run({ ...options, archived: true }), archives],
  ] as const)
    accounts.push(...(await accountsIn(run, directories, userIds)))
  if (userIds === undefined)
    for (const { name, directory } of trees)
      accounts.push({ run: new Run(options), userId: name as UserId, directory, isTree: true })
  options.onAccounts?.({ count: accounts.length })
  for (const { run, userId, directory, isTree } of accounts) {
    await checkAccount(run, userId, directory, isTree)
    options.onAccounts?.('ended')
  }
  const found = new Set(accounts.map(({ userId }) => userId))
  return userIds?.filter((userId) => !found.has(userId)) ?? []
}

async function accountsIn(
  run: Run,
  roots: readonly string[],
  userIds: readonly UserId[] | undefined,
): Promise<readonly FoundAccount[]> {
  if (userIds === undefined) return await checkRoots(run, roots)
  const accounts: FoundAccount[] = []
  for (const userId of new Set(userIds))
    for (const root of roots) {
      const directory = `${root}/${accountDirectory(userId)}`
      if ((await unlessAbsent(run.fs.status(directory)))?.isDirectory === true)
        accounts.push({ run, userId, directory })
    }
  return accounts
}

/** Looks at what lies in the roots, and answers the accounts. */
async function checkRoots(run: Run, roots: readonly string[]): Promise<FoundAccount[]> {
  const accounts: FoundAccount[] = []
  for (const root of roots) {
    const own = await unlessAbsent(run.fs.status(root))
    if (own === undefined) continue
    // An account's directory that can't be listed is told of by itself; a root that can't be has to be.
    await run.fs.list(root)
    const place: Place = { owner: own.owner, top: root }
    for await (const [name, status] of statuses(run, root)) {
      const path = `${root}/${name}`
      const userId = status.isDirectory ? accountOf(name) : undefined
      if (userId !== undefined) accounts.push({ run, userId, directory: path })
      else if (name === placesName && status.isDirectory) await checkPlaces(run, place, path)
      else if (ownOfRoot.has(name)) continue
      else if (name.startsWith(goneMark)) {
        if (run.isOld(status)) await run.found({ kind: 'account-gone', path }, () => removeTree(run.fs, path))
      } else if (status.isDirectory)
        await run.found({ kind: 'account-name', path }, async () => {
          await quarantine(run.fs, root, path)
        })
      else await checkStray(run, place, path, status)
    }
  }
  return accounts
}
