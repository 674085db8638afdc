/** What is known of the migration of one account: a small file for each, beside the mail. docs/decisions/0261-records-of-migrations.md */
import type { PullCounts, WantedAccount } from '#gateway/ms_syncd/migration-journal.ts'
import { StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import { isJsonObject, readJsonRecord } from '#src/base/json-record.ts'

/** Named in the order in which most accounts go through them. */
export const migrationStates = [
  /** Nothing was begun. */
  'waiting',
  'pulling',
  /** An operator stopped it, until one lets it go on. */
  'paused',
  /** It broke off (`reason`). It goes on by itself unless `reason` says what has to happen first. */
  'failed',
  /** All mail is here; the account is made at the user's first login, since nobody has shown the password yet. */
  'pulled',
  /** The account is made, and the old server is to be asked once more. */
  'migrated',
  /** The old server is not asked any more, and its password is destroyed. */
  'closed',
  /** An operator gives the account back: what was changed here is being carried to the old server (`reason`: why that did not come to its end). */
  'rolling-back',
  /** The old server has the account again. */
  'rolled-back',
] as const
export type MigrationState = (typeof migrationStates)[number]

/** `octets`: pulled in all passes. */
export type MigrationCounts = PullCounts

export const nothingCounted: MigrationCounts = { listed: 0, here: 0, notGiven: 0, octets: 0 }

export interface MigrationRecord {
  readonly userId: UserId
  /** As the user or an operator wrote it: the old server is asked about this one. */
  readonly given: string
  readonly state: MigrationState
  /** Of the state, in milliseconds since 1970. */
  readonly since: number
  /** Of the first state. */
  readonly begun: number
  /** Why it is in this state, in words for an operator. */
  readonly reason?: string
  readonly wave?: string
  /** The user works at the old server, whatever is pulled meanwhile: the account was given back. */
  readonly atOldServer?: true
  /** The account that is to be made. */
  readonly account: WantedAccount
  readonly counts: MigrationCounts
  /** All mail is here, and its certificate is not made so far. */
  readonly certificateDue?: true
  /** What the old server has beside mail, when it was asked for that. */
  readonly beside?: Beside
  /** The user's password at the old server, sealed to the user id; absent: it is in memory only, or nobody has shown it. */
  readonly secret?: string
}

/** In words for an operator. */
export interface Beside {
  readonly given: readonly string[]
  readonly notGiven: readonly string[]
}

const version = 1
const maxOctets = 256 * 1024

export const formatRecord = (record: MigrationRecord): Buffer =>
  Buffer.from(`${JSON.stringify({ version, ...record }, undefined, 2)}\n`)

/** `path` is for errors. Throws StoreError damaged. */
export const readRecord = (octets: Buffer, path: string): MigrationRecord => {
  const damaged = (what: string) =>
    new StoreError('damaged', `the migration record ${path} ${what}; remove it, and migrate its user again`)
  const json = readJsonRecord(octets, { version, maxOctets, damaged })
  const { userId, given, since, begun, account, counts } = json
  const text = (name: 'reason' | 'wave' | 'secret') => {
    const value = json[name]
    if (value !== undefined && typeof value !== 'string') throw damaged(`has a ${name} that is no text`)
    return value === undefined ? {} : { [name]: value }
  }
  const state = migrationStates.find((name) => name === json.state)
  if (typeof userId !== 'string' || userId === '' || typeof given !== 'string')
    throw damaged('does not say whose it is')
  if (state === undefined) throw damaged('has no valid state')
  if (!isCount(since) || !isCount(begun)) throw damaged('does not say since when')
  if (!isJsonObject(account) || (account.by !== 'login' && account.by !== 'operator'))
    throw damaged('does not say what account is to be made')
  const { by, properties } = account
  if (!Array.isArray(properties) || !properties.every(isProperty)) throw damaged('has properties that are none')
  if (!isJsonObject(counts)) throw damaged('has no counts')
  const { listed, here, notGiven, octets: pulled, toCome, leftOut } = counts
  if (!isCount(listed) || !isCount(here) || !isCount(notGiven) || !isCount(pulled))
    throw damaged('has counts that are none')
  if (toCome !== undefined && !isCount(toCome)) throw damaged('has counts that are none')
  if (leftOut !== undefined && !isTexts(leftOut)) throw damaged('has names of mailboxes that are none')
  return {
    userId: userId as UserId,
    given,
    state,
    since,
    begun,
    ...text('reason'),
    ...text('wave'),
    ...(json.atOldServer === true ? { atOldServer: true } : {}),
    account: { by, properties, ...(account.renumbered === true ? { renumbered: true } : {}) },
    counts: {
      ...{ listed, here, notGiven, octets: pulled },
      ...(toCome === undefined ? {} : { toCome }),
      ...(leftOut === undefined ? {} : { leftOut }),
    },
    ...(json.certificateDue === true ? { certificateDue: true } : {}),
    ...besideOf(json.beside, damaged),
    ...text('secret'),
  }
}

const besideOf = (value: unknown, damaged: (what: string) => StoreError): { readonly beside?: Beside } => {
  if (value === undefined) return {}
  if (!isJsonObject(value) || !isTexts(value.given) || !isTexts(value.notGiven))
    throw damaged('does not say what was given beside mail')
  return { beside: { given: value.given, notGiven: value.notGiven } }
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((text) => typeof text === 'string')

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const isProperty = (value: unknown): value is readonly [string, string] =>
  Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === 'string')
