/** Answers imapd's and pop3d's question whether a login is good. They log the answer; the request carries a password: nothing here does. */
import { AuthError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Json } from '#src/events/types.ts'
import type { Gateway } from './gateway.ts'
import type { WantedAccount } from './migration-journal.ts'

/** The service that `src/auth` asks; request and answer are described there. */
export const serviceName = 'ms_sync'

/** Answers an AuthenticateAnswer, AdmittedAnswer or MigrateAnswer (src/auth/ms-syncd.ts). A refusal is an answer; what else goes wrong is thrown. */
export const authenticate = async (gateway: Gateway, request: Json): Promise<Json> => {
  const asked = read(request)
  if (asked === undefined) return refusal(new AuthError('unavailable', 'the request is not understood'))
  const { type, user, userId, password, account } = asked
  try {
    if (type === 'admitted')
      return { ok: true, userId, passwordNeeded: (await gateway.admit(user, userId, password)) === 'password-needed' }
    if (type === 'migrate')
      return { ok: true, userId, ...(await gateway.migrate({ given: user, userId, account }, password)) }
    if (password === undefined) throw new AuthError('unavailable', 'the request has no password')
    const passage = await gateway.login(user, userId, password, asked.service)
    return passage === undefined ? { ok: true, userId } : { ok: true, userId, passage: { ...passage } }
  } catch (error) {
    if (!(error instanceof AuthError)) throw error
    return refusal(error)
  } finally {
    password?.fill(0)
  }
}

const types = ['authenticate', 'admitted', 'migrate'] as const

interface Asked {
  readonly type: (typeof types)[number]
  readonly user: string
  readonly userId: UserId
  readonly password: Buffer | undefined
  readonly account: WantedAccount | undefined
  /** Of 'authenticate': what a session that is passed on speaks. */
  readonly service: 'imap' | 'pop' | undefined
}

const read = (request: Json): Asked | undefined => {
  if (typeof request !== 'object' || request === null || Array.isArray(request) || !('type' in request))
    return undefined
  const { type, user, userId, password, properties, renumbered, service } = request
  const known = types.find((name) => name === type)
  if (known === undefined || typeof user !== 'string' || typeof userId !== 'string') return undefined
  if (password !== undefined && typeof password !== 'string') return undefined
  if (properties !== undefined && (!Array.isArray(properties) || !properties.every(isProperty))) return undefined
  return {
    type: known,
    user,
    userId: userId as UserId,
    password: password === undefined ? undefined : Buffer.from(password, 'base64'),
    account:
      properties === undefined
        ? undefined
        : { properties, by: 'operator', ...(renumbered === true ? { renumbered } : {}) },
    service: service === 'imap' || service === 'pop' ? service : undefined,
  }
}

const isProperty = (value: Json): value is [string, string] =>
  Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === 'string')

/** `reason`: for whoever runs the server. */
const refusal = ({ kind, message, cause }: AuthError): Json => ({
  ok: false,
  kind,
  text: message,
  ...(cause instanceof Error ? { reason: cause.message } : {}),
})
