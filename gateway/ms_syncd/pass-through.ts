/** A login that is passed through: the old server decides, and the session there is handed on. docs/decisions/0275-sessions-passed-through.md */
import type { Passage } from '#src/auth/types.ts'
import { AuthError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Backend } from '#src/config/backends.ts'
import { openImapLogin, openPopBackendLogin } from '../backend/open-backend.ts'
import type { Gateway } from './gateway.ts'
import type { Passages } from './passages.ts'
import { loginPriority } from './scheduler.ts'
import { authError } from './verdicts.ts'

export interface PassRequest {
  readonly userId: UserId
  readonly backend: Backend
  readonly password: Buffer
  /** What the client speaks. */
  readonly service: 'imap' | 'pop' | undefined
}

/** Only the login counts against the limits of the host: the session after it is the user's own. Throws AuthError. */
export const passThrough = async (gateway: Gateway, passages: Passages, request: PassRequest): Promise<Passage> => {
  const { userId, backend, password, service } = request
  const { protocol, port } = backend
  const isImap = protocol === 'imap' || protocol === 'imaps'
  const host = gateway.hosts.of(backend.host, port)
  const log = gateway.log.child({ user: userId, backend: `${protocol}://${backend.host}:${port}` })
  const { access, scheduler, signal } = gateway
  const work = async () => {
    host.begun()
    try {
      const opened = isImap
        ? await openImapLogin(access, backend, password, log, signal)
        : { connection: await openPopBackendLogin(access, backend, password, log, signal), capabilities: [] }
      host.proven()
      return { old: opened.connection.detach(), capabilities: opened.capabilities }
    } catch (error) {
      host.failed(error, `${userId} ${backend.user}`, false)
      throw error
    } finally {
      host.ended()
    }
  }
  const limit = (isLogin: boolean) => host.limit(isLogin)
  try {
    const { old, capabilities } = await scheduler.run({ host: host.key, priority: loginPriority, signal, limit, work })
      .done
    // Not before the password was right: who is known is nobody's business.
    if (service !== (isImap ? 'imap' : 'pop')) {
      old.destroy()
      const words = `a session of ${service ?? 'this service'} can not be passed through to an old server that is reached by ${protocol}`
      throw new AuthError('denied', words)
    }
    const passage = await passages.offer(userId, old, capabilities)
    log.log('info', 'the session is passed through to the old server')
    return passage
  } catch (error) {
    throw error instanceof AuthError ? error : authError(error)
  }
}
