/** A session with an old server to look at what it has: within the limits that all sessions with its host have. */
import { backendUrl } from '#gateway/backend/backend-url.ts'
import { pollPassword } from '#gateway/backend/credentials.ts'
import { openBackend, openImapBackend } from '#gateway/backend/open-backend.ts'
import type { Gateway } from '#gateway/ms_syncd/gateway.ts'
import { pollPriority } from '#gateway/ms_syncd/scheduler.ts'
import { filledId } from '#gateway/sync/filled-mailbox.ts'
import { StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Backend } from '#src/config/backends.ts'
import type { Here } from './here.ts'
import type { There } from './there.ts'
import { imapThere } from './there-imap.ts'
import { pop3There } from './there-pop3.ts'

export interface SideRequest {
  readonly gateway: Gateway
  readonly userId: UserId
  readonly backend: Backend
  /** The user's; undefined: what the record has. */
  readonly password: Buffer | undefined
  readonly here: Here
  readonly signal: AbortSignal
}

export const isPop3 = ({ protocol }: Pick<Backend, 'protocol'>): boolean => protocol === 'pop' || protocol === 'pops'

/** Throws BackendError, StoreError, and what `look` throws. */
export const lookThere = async <T>(request: SideRequest, look: (there: There) => Promise<T>): Promise<T> => {
  const { gateway, backend, password } = request
  const signal = AbortSignal.any([gateway.signal, request.signal])
  const host = gateway.hosts.of(backend.host, backend.port)
  const secret = pollPassword(backend, password)
  const work = () => (isPop3(backend) ? lookIntoMaildrop : lookIntoAccount)({ ...request, signal }, secret, look)
  const limit = (isLogin: boolean) => host.limit(isLogin)
  try {
    return await gateway.scheduler.run({ host: host.key, priority: pollPriority, signal, limit, work }).done
  } finally {
    secret?.fill(0)
  }
}

type Looking = <T>(request: SideRequest, secret: Buffer | undefined, look: (there: There) => Promise<T>) => Promise<T>

const lookIntoAccount: Looking = async ({ gateway, userId, backend, here, signal }, secret, look) => {
  const log = gateway.log.child({ user: userId })
  const session = await openImapBackend(gateway.access, backend, secret, log, signal)
  try {
    const result = await look(await imapThere(backendUrl(backend, userId), session, here.account))
    await session.logout()
    return result
  } finally {
    session.close()
  }
}

const lookIntoMaildrop: Looking = async ({ gateway, userId, backend, here, signal }, secret, look) => {
  const url = backendUrl(backend, userId)
  const filled = await filledId(here.account, backend.mailbox, url)
  const mailbox = here.byId(filled) ?? here.mailboxes.find(({ name }) => name === backend.mailbox)
  if (mailbox === undefined) throw new StoreError('not-found', `there is no mailbox ${backend.mailbox} here`)
  const log = gateway.log.child({ user: userId })
  const client = await openBackend(gateway.access, backend, secret, log, signal)
  try {
    const result = await look(pop3There(url, client, here.account, mailbox))
    await client.quit()
    return result
  } finally {
    client.close()
  }
}
