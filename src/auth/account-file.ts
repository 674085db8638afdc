/** The octets of an account file: JSON, version 1. Nothing of it is trusted when it is read. */
import { StoreError } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import { isJsonObject, readJsonRecord } from '../base/json-record.ts'
import type { Access, ServiceAccess, ServiceName } from '../config/options/domains.ts'
import type { AccountRecord, AccountState } from './accounts.ts'
import { isScrypt, parseScram, type Verifiers } from './verifier.ts'

const version = 1
/** An account with some hundred properties; more is not one of ours. */
const maxOctets = 256 * 1024

export const writeAccount = (account: AccountRecord): Buffer => {
  const { userId, state, verifiers, services, properties, confirmedAt } = account
  const json = { version, userId, state, verifiers, services, properties, confirmedAt }
  return Buffer.from(`${JSON.stringify(json, undefined, 2)}\n`)
}

/** Throws StoreError damaged, naming the file and what is wrong with it (never a verifier). */
export const readAccount = (octets: Buffer, path: string): AccountRecord => {
  const damaged = (what: string) =>
    new StoreError('damaged', `the account file ${path}: ${what}; restore it from a backup or remove it`)
  const json = readJsonRecord(octets, { version, maxOctets, damaged })
  if (typeof json.userId !== 'string' || !json.userId.includes('@')) throw damaged('has no userId')
  if (!isState(json.state)) throw damaged('has no valid state')
  const verifiers = json.verifiers === undefined ? undefined : readVerifiers(json.verifiers)
  if (verifiers === null) throw damaged('has no valid verifiers')
  const services = readServices(json.services)
  if (services === undefined) throw damaged('has no valid services')
  if (!isProperties(json.properties)) throw damaged('has no valid properties')
  const { userId, state, properties, confirmedAt } = json
  return {
    userId: userId as UserId,
    state,
    verifiers,
    services,
    properties,
    ...(typeof confirmedAt === 'number' && { confirmedAt }),
  }
}

const isState = (value: unknown): value is AccountState =>
  value === 'enabled' || value === 'disabled' || value === 'migrating'

/** Null when they are not valid. */
const readVerifiers = (value: unknown): Verifiers | null => {
  if (!isJsonObject(value) || typeof value.scrypt !== 'string' || !isScrypt(value.scrypt)) return null
  const scram = (name: 'scramSha1' | 'scramSha256', hash: string) => {
    const text = value[name]
    if (text === undefined) return {}
    return typeof text === 'string' && parseScram(text)?.hash === hash ? { [name]: text } : null
  }
  const sha1 = scram('scramSha1', 'sha1')
  const sha256 = scram('scramSha256', 'sha256')
  return sha1 === null || sha256 === null ? null : { scrypt: value.scrypt, ...sha1, ...sha256 }
}

const serviceNames: readonly ServiceName[] = ['imap', 'pop', 'sieve']
const readServices = (value: unknown): ServiceAccess | undefined => {
  if (!isJsonObject(value)) return undefined
  const rules: { [name in ServiceName]?: Access } = {}
  for (const name of serviceNames) {
    const access = Object.hasOwn(value, name) ? value[name] : undefined
    if (access === 'allow' || access === 'deny') rules[name] = access
    else if (access !== undefined) return undefined
  }
  return rules
}

const isProperties = (value: unknown): value is AccountRecord['properties'] =>
  Array.isArray(value) &&
  value.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === 'string'))
