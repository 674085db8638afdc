/** Has ms_syncd make a certificate of a migration, or read both sides again, and tells how far it is. */
import { join } from 'node:path'
import { systemClock } from '../../base/clock.ts'
import type { UserId } from '../../base/ids.ts'
import { certificatesName } from '../../certificate/certificates.ts'
import type { ProofAnswer, ProofProgressAnswer, ProofRequest } from '../../certificate/questions.ts'
import { SigningKey } from '../../certificate/signing-key.ts'
import { accountDirectory } from '../../store/names.ts'
import { gatewayName } from '../../store/places.ts'
import { connected } from '../event-bus.ts'
import { CommandError, type Context } from './command.ts'

/** A day: the largest mailbox over a slow line. */
const timeoutMs = 24 * 3_600_000
const progressEveryMs = 1_000

/** Of all accounts; the key lies in it, too. */
export const certificatesDirectory = ({ config }: Context): string =>
  join(config.get('userdir'), gatewayName, certificatesName)

export const directoryOf = (userId: UserId, context: Context): string =>
  join(certificatesDirectory(context), accountDirectory(userId))

/** Throws StoreError. */
export const signingKey = (context: Context): Promise<SigningKey> => {
  const file = context.config.get('certificate_key_file')
  return file === undefined ? SigningKey.readOrMake(certificatesDirectory(context)) : SigningKey.read(file)
}

/** Throws CommandError. */
export const prove = async (
  type: ProofRequest['type'],
  {
    given,
    userId,
    password,
  }: { readonly given: string; readonly userId: UserId; readonly password: Buffer | undefined },
  context: Context,
): Promise<Extract<ProofAnswer, { ok: true }>> => {
  const interrupted = new AbortController()
  const interrupt = () => interrupted.abort(new CommandError('interrupted'))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupt)
  await using bus = await connected(context.config, 'msadm')
  const show = context.showProgress(false)
  const ending = new AbortController()
  const look = async () => {
    const told = (await bus.ask(
      'ms_sync',
      { type: 'migration-proof', userId },
      { timeoutMs: 10_000 },
    )) as ProofProgressAnswer | null
    if (told === null) return
    const { messages, of, octets, secondsLeft } = told
    const left = secondsLeft === undefined ? '' : `, about ${secondsLeft} s left`
    show?.(`${messages} of ${of} messages${octets === 0 ? '' : `, ${octets} octets`}${left}`)
  }
  const follow = async () => {
    for (;;) {
      await systemClock.sleep(progressEveryMs, ending.signal)
      // The answer to the question itself tells what is wrong.
      await look().catch(() => {})
    }
  }
  if (show !== undefined) follow().catch(() => {})
  try {
    const secret = password === undefined ? {} : { password: password.toString('base64') }
    const request: ProofRequest = { type, user: given, userId, ...secret }
    const answer = (await bus.ask('ms_sync', request, {
      ...(password === undefined ? {} : { secret: true }),
      timeoutMs,
      signal: interrupted.signal,
    })) as ProofAnswer
    if (!answer.ok) throw new CommandError(answer.text)
    return answer
  } catch (error) {
    if (error instanceof CommandError) throw error
    throw new CommandError(`ms_syncd: ${(error as Error).message}`)
  } finally {
    ending.abort()
    show?.('')
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, interrupt)
  }
}
