/** Who in this process listens to which topics; the hub knows only the union. */
import type { Log } from '../base/log.ts'
import type { MailEvent } from './types.ts'

interface Subscriber {
  readonly onEvent: (event: MailEvent) => void
  readonly onGap: (() => void) | undefined
}

/** Longest topic that the hub takes is 512 characters: this many fit into one message. */
const TOPICS_PER_MESSAGE = 250
const MAX_TOPIC_CHARS = 512

/** Subscriptions that an event of `topic` goes to: to the topic, to all of its kind (`ms_sync:`), to everything. */
export const matching = (topic: string): readonly string[] => {
  const kind = topic.slice(0, topic.indexOf(':') + 1)
  return kind === '' ? [topic, 'ALL'] : [topic, kind, 'ALL']
}

/** Subscribes on the wire for the first listener to a topic, and unsubscribes for the last. */
export class Subscriptions {
  readonly #send: (verb: 'subscribe' | 'unsubscribe', topics: readonly string[]) => number | undefined
  readonly #byTopic = new Map<string, Set<Subscriber>>()
  /** Subscribed on the wire, `done` not heard yet. */
  #unconfirmed = new Map<number, readonly string[]>()

  /** `send` answers the msgno under which the hub confirms, or undefined when there is no connection. */
  constructor(send: (verb: 'subscribe' | 'unsubscribe', topics: readonly string[]) => number | undefined) {
    this.#send = send
  }

  /** Throws RangeError for a topic that the hub would not take. */
  add(topics: readonly string[], onEvent: (event: MailEvent) => void, onGap: (() => void) | undefined): () => void {
    const tooLong = topics.find((topic) => topic.length > MAX_TOPIC_CHARS)
    if (tooLong !== undefined) throw new RangeError(`topic of ${tooLong.length} characters`)
    const subscriber: Subscriber = { onEvent, onGap }
    const added: string[] = []
    for (const topic of topics) {
      const others = this.#byTopic.get(topic)
      if (others) others.add(subscriber)
      else {
        this.#byTopic.set(topic, new Set([subscriber]))
        added.push(topic)
      }
    }
    this.#subscribe(added)
    return () => {
      const left: string[] = []
      for (const topic of topics) {
        const subscribers = this.#byTopic.get(topic)
        if (subscribers?.delete(subscriber) && subscribers.size === 0) {
          this.#byTopic.delete(topic)
          left.push(topic)
        }
      }
      if (left.length > 0) this.#send('unsubscribe', left)
    }
  }

  /** On a new connection. */
  restore(): void {
    this.#unconfirmed = new Map()
    this.#subscribe([...this.#byTopic.keys()])
  }

  /** From here on nothing is missed: whoever listens may look at what happened before. */
  done(msgno: number, log: Log): void {
    const topics = this.#unconfirmed.get(msgno)
    if (!topics) return
    this.#unconfirmed.delete(msgno)
    const told = new Set<Subscriber>()
    for (const topic of topics) for (const subscriber of this.#byTopic.get(topic) ?? []) told.add(subscriber)
    for (const { onGap } of told) if (onGap) guarded(onGap, log)
  }

  dispatch(event: MailEvent, log: Log): void {
    const told = new Set(matching(event.topic).flatMap((topic) => [...(this.#byTopic.get(topic) ?? [])]))
    for (const { onEvent } of told) guarded(() => onEvent(event), log)
  }

  #subscribe(topics: readonly string[]): void {
    for (let from = 0; from < topics.length; from += TOPICS_PER_MESSAGE) {
      const some = topics.slice(from, from + TOPICS_PER_MESSAGE)
      const msgno = this.#send('subscribe', some)
      if (msgno !== undefined) this.#unconfirmed.set(msgno, some)
    }
  }
}

/** A listener's defect stays its own. */
function guarded(listener: () => void, log: Log): void {
  try {
    listener()
  } catch (error) {
    log.log('err', 'a listener for events failed', { error: (error as Error).stack })
  }
}
