/**
 * Some servers say OK to any password, by accident or because they decide later. Nobody gets an account here on the word of such a one, so a host
 * is asked now and then with a password that nobody has. docs/decisions/0182-a-password-that-nobody-has.md
 */
import { randomBytes } from 'node:crypto'
import type { Clock } from '#src/base/clock.ts'
import { BackendError } from './errors.ts'
import type { BackendProfile } from './profile.ts'

const believedSeconds = 86_400

/**
 * Before an account is made. `logIn` opens a session with a password, as the user would. Throws BackendError permanent when the host takes any
 * password, and what a login throws otherwise, but for the refusal that is hoped for.
 */
export const refuseAcceptAll = async (
  { learned }: BackendProfile,
  clock: Clock,
  logIn: (password: Buffer) => Promise<{ close(): void }>,
): Promise<void> => {
  const now = Math.floor(clock.now() / 1_000)
  const age = now - (learned.nonsenseRefusedAt ?? -Infinity)
  if (age >= 0 && age < believedSeconds) return
  try {
    const session = await logIn(Buffer.from(randomBytes(24).toString('base64url')))
    session.close()
  } catch (error) {
    if (!(error instanceof BackendError) || !error.refusesLogin) throw error
    learned.nonsenseRefusedAt = now
    return
  }
  delete learned.nonsenseRefusedAt
  throw new BackendError('permanent', 'the backend accepts any password: nobody gets an account by its word')
}
