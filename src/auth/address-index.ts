/** Which embedded account an address belongs to. LMTP-09 */
import { stat } from 'node:fs/promises'
import { StoreError } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { AccountRecord } from './accounts.ts'

/** Of an account: other addresses of its mail. RFC draft-lachman-laser-ldap-mail-routing, administration guide 3.2.1.2 */
export const addressProperty = 'mailLocalAddress'

/** Addresses are compared without case: so do directories. */
const keyOf = (address: string): string => address.normalize('NFC').toLowerCase()

/** A directory changed within this time of the look at it may change again without another time. */
const unsureMs = 2_000

interface Known {
  /** Of the directory, milliseconds since 1970. */
  readonly changedAt: number
  readonly isSure: boolean
  readonly users: ReadonlyMap<string, ReadonlySet<UserId>>
}

/** Addresses of all accounts, read again when any of them changed. `list`: of the accounts in this directory. */
export const createAddressIndex = (
  directory: string,
  list: () => AsyncIterable<AccountRecord>,
): { find(address: string): Promise<UserId | undefined> } => {
  let known: Known | undefined
  let reading: Promise<Known> | undefined

  const read = async (changedAt: number): Promise<Known> => {
    const isSure = Date.now() - changedAt > unsureMs
    const users = new Map<string, Set<UserId>>()
    for await (const { userId, properties } of list()) {
      const others = properties.flatMap(([name, value]) =>
        name.toLowerCase() === addressProperty.toLowerCase() ? [value] : [],
      )
      for (const key of [userId, ...others].map(keyOf)) users.set(key, (users.get(key) ?? new Set()).add(userId))
    }
    return { changedAt, isSure, users }
  }

  const current = async (): Promise<Known> => {
    if (reading !== undefined) await reading
    const changedAt = await stat(directory).then(
      ({ mtimeMs }) => mtimeMs,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return 0
        throw new StoreError('unavailable', `the account database: ${error.message}`, { cause: error })
      },
    )
    if (known?.isSure === true && known.changedAt === changedAt) return known
    reading ??= read(changedAt).finally(() => {
      reading = undefined
    })
    known = await reading
    return known
  }

  return {
    find: async (address) => {
      const { users } = await current()
      const [userId, another] = users.get(keyOf(address)) ?? []
      if (another !== undefined)
        throw new StoreError('unavailable', `${address} belongs to ${userId} and ${another}; leave it to one of them`)
      return userId
    },
  }
}
