/** What commands ask ms_syncd. Passwords go as secrets, and a refusal is told in ms_syncd's words. */
import type { EventBus, Json } from '../../events/types.ts'
import { CommandError } from './command.ts'

/** A day: the largest mailbox over a slow line. */
export const pullMs = 24 * 3_600_000

/** ms_syncd does not answer, which it may do later. */
export class NotAnswered extends CommandError {}

type Answer = { readonly ok: true }

/** Throws CommandError: refused, or NotAnswered; with the signal's reason when that is aborted. `A` is the type that answers to this request have. */
export const askMsSyncd = async <A extends { readonly ok: boolean }>(
  bus: EventBus,
  request: { readonly [name: string]: unknown },
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal },
): Promise<Extract<A, Answer>> => {
  const secret = request.password !== undefined || request.members !== undefined
  const answer = (await bus
    .ask('ms_sync', request as Json, {
      timeoutMs,
      ...(secret ? { secret } : {}),
      ...(signal === undefined ? {} : { signal }),
    })
    .catch((error: Error) => {
      signal?.throwIfAborted()
      throw new NotAnswered(`ms_syncd: ${error.message}`)
    })) as { readonly ok?: unknown; readonly text?: unknown }
  if (answer.ok === true) return answer as Extract<A, Answer>
  throw new CommandError(
    typeof answer.text === 'string'
      ? answer.text
      : 'ms_syncd answers in a way that is not understood; it is of another version',
  )
}
