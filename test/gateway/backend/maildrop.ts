/** What the backend tests share: quick limits, an open maildrop on a port. */

import type { BackendError } from '#gateway/backend/errors.ts'
import { type OpenRequest, openMaildrop } from '#gateway/backend/pop3/open.ts'
import { BackendProfile } from '#gateway/backend/profile.ts'
import { type BodySink, defaultLimits, type Limits, type PopClient } from '#gateway/backend/types.ts'
import { silentLog } from '#src/base/log.ts'

/** Deadlines that a test can wait for. */
export const quick: Limits = { ...defaultLimits, connectMs: 2_000, replyMs: 1_000, capaMs: 300, progressMs: 1_000 }

export const as = (user: string, password: string) => ({ credentials: { user, secret: Buffer.from(password) } })

export const open = (port: number, changes: Partial<OpenRequest> = {}): Promise<PopClient> =>
  openMaildrop({
    host: '127.0.0.1',
    port,
    implicitTls: false,
    startTls: 'never',
    tlsVerify: true,
    credentials: { user: 'anna', secret: Buffer.from('pw') },
    profile: new BackendProfile(),
    log: silentLog,
    limits: quick,
    ...changes,
  })

/** Bodies by message number; what was refused; what was cut. */
export const fetchAll = async (maildrop: PopClient, numbers: readonly number[]) => {
  const bodies = new Map<number, Buffer>()
  const refused = new Map<number, BackendError>()
  const aborted: number[] = []
  let lost: unknown
  await maildrop
    .retrieve(
      numbers,
      (number): BodySink => {
        const chunks: Buffer[] = []
        return {
          write: (chunk) => void chunks.push(chunk),
          end: () => void bodies.set(number, Buffer.concat(chunks)),
          abort: () => void aborted.push(number),
        }
      },
      (number, error) => void refused.set(number, error),
    )
    .catch((error: unknown) => {
      lost = error
    })
  return { bodies, refused, aborted, lost }
}

export const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1)
