/** Signs of life of a command that takes long. IMAP-06 */

import type { Session } from './session.ts'

/** Between signs of life of a search, which also show whether the client is still there. */
export const signMs = 10_000

/** Says `text()` to the client at intervals until the work is done; never with 0 ms. */
export async function keptAlive<T>(
  session: Pick<Session, 'untagged' | 'output'>,
  everyMs: number,
  text: () => string,
  work: Promise<T>,
): Promise<T> {
  if (everyMs === 0) return work
  const timer = setInterval(() => {
    session.untagged('OK', text())
    session.output.flush()
  }, everyMs)
  try {
    return await work
  } finally {
    clearInterval(timer)
  }
}
