/** Has ms_syncd make a certificate of a migration, or read both sides again, and tells how far it is. */
import { join } from 'node:path'
import { systemClock } from '../../base/clock.ts'
import type { UserId } from '../../base/ids.ts'
import { certificatesName } from '../../certificate/certificates.ts'
import type { ProofAnswer, ProofProgressAnswer, ProofRequest } from '../../certificate/questions.ts'
import { SigningKey } from '../../certificate/signing-key.ts'
import type { EventBus } from '../../events/types.ts'
import { accountDirectory } from '../../store/names.ts'
import { gatewayName } from '../../store/places.ts'
import { connected } from '../event-bus.ts'
import { secretOf, type UserAtOldServer } from './at-old-server.ts'
import type { Context } from './command.ts'
import { untilInterrupted } from './interrupt.ts'
import { askMsSyncd, pullMs } from './ms-syncd.ts'

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
export const prove = (
  type: ProofRequest['type'],
  user: UserAtOldServer,
  context: Context,
): Promise<Extract<ProofAnswer, { ok: true }>> =>
  untilInterrupted('interrupted', async (signal) => {
    await using bus = await connected(context.config, 'msadm')
    const { given, userId } = user
    using _ = follow(bus, userId, context)
    const request: ProofRequest = { type, user: given, userId, ...secretOf(user) }
    return await askMsSyncd<ProofAnswer>(bus, request, { timeoutMs: pullMs, signal })
  })

/** Shows how far it is. */
const follow = (bus: EventBus, userId: UserId, context: Context): Disposable => {
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
  const run = async () => {
    for (;;) {
      await systemClock.sleep(progressEveryMs, ending.signal)
      // The answer to the question itself tells what is wrong.
      await look().catch(() => {})
    }
  }
  if (show !== undefined) run().catch(() => {})
  return {
    [Symbol.dispose]() {
      ending.abort()
      show?.('')
    },
  }
}
