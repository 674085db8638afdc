/** Where consents of users are kept, for ms_syncd and msadm: a file for each account at a provider. docs/decisions/0192-tokens-of-backends.md */
import { createHash } from 'node:crypto'
import { StoreError } from '../base/errors.ts'
import { readJsonRecord } from '../base/json-record.ts'
import { recordDirectory } from '../base/record-directory.ts'
import { OptionFault } from '../config/certificate-files.ts'
import type { Config } from '../config/config.ts'
import { Sealer } from '../config/sealer.ts'
import { OAuthError } from './token-endpoint.ts'

/** An account at a provider. */
export interface ConsentOwner {
  /** Name of the `oauth_provider`. */
  readonly provider: string
  /** The user id there. */
  readonly user: string
}

export interface Consent extends ConsentOwner {
  /** `needs-consent`: the provider refused the refresh token; nobody asks again before there is another one. */
  readonly state: 'ready' | 'needs-consent'
  readonly since: Date
  readonly refreshToken: string
  readonly isSealed: boolean
}

export interface Consents {
  /** Throws OAuthError and StoreError. */
  find(owner: ConsentOwner): Promise<Consent | undefined>
  /** Durable when it resolves. */
  keep(owner: ConsentOwner, refreshToken: string): Promise<void>
  /** The provider refused this one; nothing happens where another one is kept by now. */
  ended(owner: ConsentOwner, refreshToken: string): Promise<void>
  /** Throws StoreError not-found. */
  forget(owner: ConsentOwner): Promise<void>
  /** Throws OAuthError and StoreError. */
  list(): AsyncIterable<Consent>
}

const version = 1
const maxOctets = 64 * 1024

/** Throws OAuthError configuration for a key that can't be used. */
export const openConsents = async (config: Config): Promise<Consents> => {
  const sealer = await Sealer.from(config, 'oauth_key_file', 'wherry oauth consents').catch((error: unknown) => {
    if (!(error instanceof OptionFault)) throw error
    throw new OAuthError('configuration', error.message, error.cause === undefined ? {} : { cause: error.cause })
  })
  const records = recordDirectory(config.get('oauth_state'), 'the consents to backends')
  const put = async (owner: ConsentOwner, state: Consent['state'], refreshToken: string) => {
    const secret = sealer === undefined ? { refreshToken } : { sealed: sealer.seal(refreshToken, ownerText(owner)) }
    const { provider, user } = owner
    const record = { version, provider, user, state, since: new Date().toISOString(), ...secret }
    await records.put(fileName(owner), Buffer.from(`${JSON.stringify(record, undefined, 2)}\n`))
  }
  const find = async (owner: ConsentOwner) => {
    const octets = await records.read(fileName(owner))
    return octets === undefined ? undefined : readConsent(octets, fileName(owner), sealer)
  }
  return {
    find,
    keep: (owner, refreshToken) => put(owner, 'ready', refreshToken),
    ended: async (owner, refreshToken) => {
      if ((await find(owner))?.refreshToken === refreshToken) await put(owner, 'needs-consent', refreshToken)
    },
    forget: (owner) => records.remove(fileName(owner)),
    async *list() {
      for await (const { path, octets } of records.list()) yield readConsent(octets, path, sealer)
    },
  }
}

const ownerText = ({ provider, user }: ConsentOwner): string => JSON.stringify([provider, user])

const fileName = (owner: ConsentOwner): string => `${createHash('sha256').update(ownerText(owner)).digest('hex')}.json`

const readConsent = (octets: Buffer, path: string, sealer: Sealer | undefined): Consent => {
  const damaged = (what: string) =>
    new StoreError('damaged', `the consent ${path} ${what}; remove it, and have its owner consent again`)
  const record = readJsonRecord(octets, { version, maxOctets, damaged })
  const { provider, user, state, since } = record
  if (typeof provider !== 'string' || typeof user !== 'string' || typeof since !== 'string')
    throw damaged('does not say whose it is')
  if (state !== 'ready' && state !== 'needs-consent') throw damaged('has no valid state')
  const owner = { provider, user }
  const isSealed = typeof record.sealed === 'string'
  const refreshToken = isSealed ? opened(String(record.sealed), owner, sealer) : record.refreshToken
  if (typeof refreshToken !== 'string' || refreshToken === '') throw damaged('has no token')
  return { ...owner, state, since: new Date(since), refreshToken, isSealed }
}

const opened = (sealed: string, owner: ConsentOwner, sealer: Sealer | undefined): string => {
  const whose = `the consent of ${owner.user} to ${owner.provider}`
  if (sealer === undefined)
    throw new OAuthError('configuration', `${whose} is sealed; set oauth_key_file to the key that it was sealed with`)
  const text = sealer.open(sealed, ownerText(owner))
  if (text === undefined)
    throw new OAuthError(
      'configuration',
      `${whose} does not open with the key of oauth_key_file: it is another key, or it was changed`,
    )
  return text
}
