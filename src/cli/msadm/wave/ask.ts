/** Asks ms_syncd about waves. */
import type { WaveAnswers, WaveRequest } from '../../../auth/ms-syncd-waves.ts'
import type { EventBus } from '../../../events/types.ts'
import { CommandError } from '../command.ts'

const timeoutMs = 120_000

interface AnswerOf {
  readonly list: WaveAnswers['list']
  readonly check: WaveAnswers['check']
  readonly add: WaveAnswers['add']
  readonly plan: WaveAnswers['plan']
  readonly status: WaveAnswers['status']
  readonly stragglers: WaveAnswers['stragglers']
  readonly retry: WaveAnswers['members']
  readonly remove: WaveAnswers['members']
}
type Verb = WaveRequest['verb']
/** Those that change a wave. */
export type ChangingRequest = Exclude<WaveRequest, { readonly verb: keyof AnswerOf }>
export type Answer<V extends Verb> = V extends keyof AnswerOf ? AnswerOf[V] : WaveAnswers['changed']

/** ms_syncd does not answer, which it may do later. */
export class NotAsked extends CommandError {}

/** Throws CommandError: refused, or NotAsked. */
export const ask = async <R extends WaveRequest>(
  bus: EventBus,
  request: R,
  secret = false,
): Promise<Answer<R['verb']>> => {
  const answer = (await bus
    .ask('ms_sync', request, { timeoutMs, ...(secret ? { secret } : {}) })
    .catch((error: Error) => {
      throw new NotAsked(`ms_syncd: ${error.message}`)
    })) as { readonly ok?: unknown; readonly text?: unknown }
  if (answer.ok === true) return answer as Answer<R['verb']>
  throw new CommandError(
    typeof answer.text === 'string'
      ? answer.text
      : 'ms_syncd answers in a way that is not understood; it is of another version',
  )
}

/** All pages of an answer, one after the other. */
export async function* pages<V extends 'plan' | 'status' | 'stragglers'>(
  bus: EventBus,
  verb: V,
  name: string,
): AsyncGenerator<Answer<V>> {
  for (let from: number | undefined = 0; from !== undefined; ) {
    const answer: Answer<V> = (await ask(bus, { type: 'wave', verb, name, from } as WaveRequest)) as Answer<V>
    yield answer
    from = answer.next
  }
}
