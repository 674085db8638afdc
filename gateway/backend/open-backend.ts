import type { Log } from '#src/base/log.ts'
import type { Backend } from '#src/config/backends.ts'
import { BackendError } from './errors.ts'
import type { TlsTrust } from './pop3/connection.ts'
import { openMaildrop } from './pop3/open.ts'
import type { BackendProfiles } from './profile.ts'
import type { Limits, PopClient } from './types.ts'

/** What the sessions of a process share. */
export interface BackendAccess {
  readonly profiles: BackendProfiles
  readonly trust?: TlsTrust
  readonly limits?: Limits
}

/** Logs in to a backend and proves that there is a maildrop. Throws BackendError. */
export const openBackend = (
  { profiles, ...access }: BackendAccess,
  backend: Backend,
  password: Buffer,
  log: Log,
  signal?: AbortSignal,
): Promise<PopClient> => {
  const { host, port, protocol, user, startTls, tlsVerify } = backend
  if (protocol === 'imap' || protocol === 'imaps')
    return Promise.reject(
      new BackendError('unsupported', `${protocol}://${host}: IMAP backends are not supported yet; use pop or pops`),
    )
  return openMaildrop({
    ...access,
    host,
    port,
    implicitTls: protocol === 'pops',
    startTls,
    tlsVerify,
    credentials: { user, secret: password },
    profile: profiles.of(host, port),
    log,
    ...(signal === undefined ? {} : { signal }),
  })
}
