/** The policy of protecting a connection, of both protocols. docs/decisions/0081-stls-and-downgrade.md */
import type { Log } from '#src/base/log.ts'
import type { Protection } from './choose-login.ts'
import { BackendError } from './errors.ts'
import type { BackendProfile } from './profile.ts'
import type { TlsTrust } from './tls.ts'

/** What a session asks of its connection. */
export interface ProtectionRequest {
  readonly host: string
  /** TLS from the first octet. */
  readonly implicitTls: boolean
  /** 'offered' goes on in clear where there is none, unless the host had it before. */
  readonly startTls: 'never' | 'offered' | 'required'
  /** Whether the certificate has to verify: of implicit TLS, and of 'required'. */
  readonly tlsVerify: boolean
  readonly trust?: TlsTrust
  readonly profile: BackendProfile
  readonly log: Log
}

/** Required by configuration, or had before: an attacker who removes the offer must not get the password. */
export const mustProtect = ({ startTls, profile }: ProtectionRequest): boolean =>
  startTls === 'required' || profile.learned.protection !== undefined

/** Whether the handshake behind STLS or STARTTLS fails where the certificate does not verify. */
export const mustVerify = ({ tlsVerify, startTls, profile }: ProtectionRequest): boolean =>
  tlsVerify && (startTls === 'required' || profile.learned.protection === 'tls')

/** What to do about it, for an error. */
export const hintOf = ({ startTls }: ProtectionRequest): string =>
  startTls === 'required'
    ? 'TLS is required for this backend'
    : "this backend had TLS before; set starttls='false' if it was switched off on purpose"

/** There is no TLS, because the backend `why`. Throws BackendError where the policy does not let it go on. */
export const goOnInClear = (request: ProtectionRequest, why: string): undefined => {
  if (mustProtect(request))
    throw new BackendError('tls', `the backend ${why}, and a login without TLS is not allowed: ${hintOf(request)}`)
}

interface Protected {
  readonly protection: Protection
  readonly weakness: string | undefined
}

/** Hosts whose exceptions were told: they are the same at every session. */
const told = new WeakSet<BackendProfile>()

/** Tells what is less than it should be, once for each host. */
export const noteProtection = (request: ProtectionRequest, { protection, weakness }: Protected): void => {
  const { profile, log, host, trust } = request
  if (told.has(profile)) return
  if (protection === 'unverified' && profile.learned.protection === undefined) {
    told.add(profile)
    log.log('warning', "the backend's certificate can not be verified; encrypting all the same", { host })
  }
  if (trust?.legacy === true && weakness !== undefined) {
    told.add(profile)
    log.log('warning', 'the backend is protected only by what tls_legacy lets pass', { host, weakness })
  }
}

/** The login worked: from now on the host gets no less. */
export const rememberProtection = ({ profile }: ProtectionRequest, protection: Protection): void => {
  if (protection !== 'none' && profile.learned.protection !== 'tls') profile.learned.protection = protection
}
