/** The order in which backend sessions begin, as a queue of p-queue. docs/decisions/0162-fair-between-hosts.md */
import type { QueueAddOptions, RunFunction } from 'p-queue'

export interface SessionOptions extends QueueAddOptions {
  readonly id: string
  /** Of the backend; one spelling for one host. */
  readonly host: string
  /** Sessions of the host that run now. */
  readonly running: () => number
  /** Whether any host could begin another one now; where none could, they are not looked at. */
  readonly hasRoom: (isLogin: boolean) => boolean
  /** Whether this host may begin another one now. A login is one that somebody waits for. */
  readonly mayBegin: (isLogin: boolean) => boolean
}

interface Waiting {
  readonly run: RunFunction
  readonly options: SessionOptions
}

/** What waits for one host, each in the order of arrival. */
interface Host {
  readonly logins: Set<Waiting>
  readonly polls: Set<Waiting>
}

/**
 * Logins go before polls; of two hosts, the one with fewer sessions comes first, and of equals the one that waited longer. A host that may
 * not have more keeps nobody but its own users waiting. A priority above 0 is that of a login.
 */
export class FairQueue {
  /** The host that began a session last is last. */
  readonly #hosts = new Map<string, Host>()
  readonly #byId = new Map<string, Waiting>()
  #logins = 0

  /** None when nothing that waits may begin: p-queue asks for the next one otherwise. */
  get size(): number {
    return this.#next() === undefined ? 0 : this.#byId.size
  }

  enqueue(run: RunFunction, options?: Partial<SessionOptions>): void {
    const session = options as SessionOptions
    const waiting = { run, options: session }
    this.#byId.set(session.id, waiting)
    let host = this.#hosts.get(session.host)
    if (host === undefined) {
      host = { logins: new Set(), polls: new Set() }
      this.#hosts.set(session.host, host)
    }
    const { logins, polls } = host
    const isLogin = (session.priority ?? 0) > 0
    ;(isLogin ? logins : polls).add(waiting)
    if (isLogin) this.#logins++
  }

  dequeue(): RunFunction | undefined {
    const next = this.#next()
    if (next === undefined) return undefined
    const { host: name, id } = next.options
    const host = this.#hosts.get(name)!
    this.remove(id)
    if (this.#hosts.delete(name) && host.logins.size + host.polls.size > 0) this.#hosts.set(name, host)
    return next.run
  }

  setPriority(id: string, priority: number): void {
    const waiting = this.#byId.get(id)
    if (waiting === undefined) return
    this.remove(id)
    this.enqueue(waiting.run, { ...waiting.options, priority })
  }

  remove(id: string): void {
    const waiting = this.#byId.get(id)
    if (waiting === undefined) return
    const { host: name } = waiting.options
    const host = this.#hosts.get(name)!
    this.#byId.delete(id)
    if (host.logins.delete(waiting)) this.#logins--
    host.polls.delete(waiting)
    if (host.logins.size + host.polls.size === 0) this.#hosts.delete(name)
  }

  filter({ priority }: Readonly<Partial<SessionOptions>>): RunFunction[] {
    return [...this.#byId.values()].filter(({ options }) => options.priority === priority).map(({ run }) => run)
  }

  #next(): Waiting | undefined {
    return this.#best(true) ?? this.#best(false)
  }

  #best(isLogin: boolean): Waiting | undefined {
    // Asked for at every turn of every session: without a session that could begin it must not cost a look at each host.
    if ((isLogin ? this.#logins : this.#byId.size - this.#logins) === 0) return undefined
    let best: Waiting | undefined
    let fewest = Infinity
    for (const { logins, polls } of this.#hosts.values()) {
      const [waiting] = isLogin ? logins : polls
      if (waiting === undefined) continue
      if (best === undefined && !waiting.options.hasRoom(isLogin)) return undefined
      const running = waiting.options.running()
      if (running >= fewest || !waiting.options.mayBegin(isLogin)) continue
      if (running === 0) return waiting
      best = waiting
      fewest = running
    }
    return best
  }
}
