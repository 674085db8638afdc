/** A client's session that goes on at the old server: octets pass both ways as they are. docs/decisions/0275-sessions-passed-through.md */

import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import type { Passage } from '../auth/types.ts'
import { AuthError } from '../base/errors.ts'
import { type ClientConnection, ConnectionLost, ConnectionTimeout } from './types.ts'

/** What presences say of a session that goes on there. */
export const atOldServer = 'at the old server'

const connectMs = 10_000
/** The old server's last words to a client that has said its own. */
const farewellMs = 30_000

/** Takes the session that ms_syncd holds. Throws AuthError unavailable. */
export const enterPassage = async ({ path, ticket }: Passage, signal: AbortSignal): Promise<Socket> => {
  const old = createConnection({ path, allowHalfOpen: true })
  try {
    await once(old, 'connect', { signal: AbortSignal.any([signal, AbortSignal.timeout(connectMs)]) })
  } catch (cause) {
    old.on('error', () => {})
    old.destroy()
    signal.throwIfAborted()
    throw new AuthError('unavailable', 'the session at the old server can not be reached', { cause })
  }
  old.write(`${ticket}\n`)
  return old
}

export interface Carried {
  /** Octets that the client sent behind its login. */
  readonly first: Buffer
  /** How long a client may be silent while the old server is. */
  readonly idleMs: number
  /** Told before the client is. */
  readonly onOldSays?: (octets: Buffer) => void
  /** Whether words of our own may come here. */
  readonly isBetween: () => boolean
}

/**
 * Resolves when the session is over: the old server ended it, or the client did, or `connection.stopping` was aborted and no
 * response is under way. Throws ConnectionTimeout; ConnectionLost.
 */
export const carry = async (
  connection: ClientConnection,
  old: Socket,
  { first, idleMs, onOldSays = () => {}, isBetween }: Carried,
): Promise<'client' | 'old server' | 'stopping'> => {
  const { promise: stopped, resolve: stop } = Promise.withResolvers<'stopping'>()
  const mayStop = () => {
    if (connection.stopping.aborted && isBetween()) stop('stopping')
  }
  let heardAtMs = performance.now()
  const gone = () => old.destroy()
  old.on('error', gone)
  connection.stopping.addEventListener('abort', mayStop, { once: true })
  connection.signal.addEventListener('abort', gone, { once: true })

  const fromOld = async (): Promise<'old server'> => {
    for await (const octets of old as AsyncIterable<Buffer>) {
      heardAtMs = performance.now()
      onOldSays(octets)
      connection.write(octets)
      await connection.drain()
      mayStop()
    }
    return 'old server'
  }
  const send = async (octets: Buffer) => {
    if (octets.length > 0 && !old.destroyed && !old.write(octets))
      await Promise.race([once(old, 'drain'), once(old, 'close')])
  }
  const fromClient = async (): Promise<'client'> => {
    await send(first)
    for (;;) {
      const octets = await connection.read().catch((error: unknown) => {
        // A long answer is no silence.
        if (error instanceof ConnectionTimeout && performance.now() - heardAtMs < idleMs) return Buffer.alloc(0)
        throw error
      })
      if (octets === undefined) break
      await send(octets)
    }
    if (old.closed) return 'client'
    old.end()
    const timer = setTimeout(gone, farewellMs)
    await once(old, 'close').finally(() => clearTimeout(timer))
    return 'client'
  }

  const sides = [fromOld(), fromClient()] as const
  for (const side of sides) side.catch(() => {})
  try {
    mayStop()
    return await Promise.race([...sides, stopped])
  } catch (error) {
    if (error instanceof ConnectionLost || error instanceof ConnectionTimeout) throw error
    // A connection that broke is one that ended.
    return 'old server'
  } finally {
    connection.stopping.removeEventListener('abort', mayStop)
    connection.signal.removeEventListener('abort', gone)
    old.destroy()
  }
}
