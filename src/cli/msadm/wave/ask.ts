/** Asks ms_syncd about waves. */
import type { WaveAnswers, WaveRequest } from '../../../auth/ms-syncd-waves.ts'
import type { EventBus } from '../../../events/types.ts'
import { askMsSyncd } from '../ms-syncd.ts'

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

/** Throws CommandError: refused, or NotAnswered. */
export const ask = <R extends WaveRequest>(bus: EventBus, request: R): Promise<Answer<R['verb']>> =>
  askMsSyncd<Answer<R['verb']>>(bus, request, { timeoutMs }) as Promise<Answer<R['verb']>>

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
