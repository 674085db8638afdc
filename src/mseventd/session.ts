/** One connection to mseventd: what it said, and what its messages do. Throws SyntaxFault to end the connection. */
import { SyntaxFault } from '../base/errors.ts'
import * as wire from '../events/wire.ts'
import type { MppMessage } from '../proto/mpp/message.ts'
import type { Hub } from './hub.ts'

/** The connection itself. */
export interface Peer {
  /** Nobody else can read or write it: a Unix socket or TLS. */
  readonly isProtected: boolean
  send(octets: Buffer): void
}

const MAX_TOPICS = 200_000
const MAX_PRESENCES = 200_000
const MAX_SERVICES = 32

/** `receive` takes a message, `disconnected` ends it; octets leave by the peer. */
export class Session {
  readonly presences = new Map<number, wire.ListedPresence>()
  readonly #hub: Hub
  readonly #peer: Peer
  readonly #topics = new Set<string>()
  readonly #services = new Set<string>()
  #hello: wire.Hello | undefined

  constructor(hub: Hub, peer: Peer) {
    this.#hub = hub
    this.#peer = peer
    hub.sessions.add(this)
  }

  get isProtected(): boolean {
    return this.#peer.isProtected
  }

  /** For the log. */
  get label(): string {
    return this.#hello ? `${this.#hello.name}[${this.#hello.pid}]@${this.#hello.host}` : 'unknown'
  }

  send(octets: Buffer): void {
    this.#peer.send(octets)
  }

  /** Forgets everything about the connection, and says so to who listens. */
  disconnected(): void {
    const hub = this.#hub
    hub.sessions.delete(this)
    for (const topic of this.#topics) hub.unsubscribe(this, topic)
    hub.requests.disconnected(this)
    for (const presence of this.presences.values()) hub.presenceChanged(presence, undefined, this)
    this.presences.clear()
  }

  receive({ type, msgno, payload }: MppMessage): void {
    const [service, verb] = wire.splitType(type)
    if (!this.#hello) {
      if (type !== 'event:hello') throw new SyntaxFault(`${type} came before event:hello`, 'msg_type')
      this.#greet(msgno, payload)
    } else if (service === 'event') this.#control(verb, msgno, payload)
    else this.#pass(service, verb, msgno, payload)
  }

  #greet(msgno: number, payload: Buffer): void {
    const hello = wire.decodeHello(payload)
    if (hello.version !== wire.PROTOCOL_VERSION)
      throw new SyntaxFault(`version ${hello.version} is spoken, ${wire.PROTOCOL_VERSION} understood here`, 'version')
    this.#hello = hello
    this.send(wire.encodeHub('welcome', msgno, { version: wire.PROTOCOL_VERSION }))
  }

  #pass(service: string, verb: string, msgno: number, payload: Buffer): void {
    if (!wire.isServiceName(service)) throw new SyntaxFault(`${service} can't be a service`, 'msg_type')
    const { requests } = this.#hub
    if (verb === 'ask' || verb === 'secret') {
      if (!requests.ask(this, service, verb, msgno, payload))
        throw new SyntaxFault(`msgno ${msgno} is outstanding already`, 'msgno')
    } else if (verb === 'answer' || verb === 'failure') requests.answer(this, service, verb, msgno, payload)
    else throw new SyntaxFault(`unknown message ${service}:${verb}`, 'msg_type')
  }

  #control(verb: string, msgno: number, payload: Buffer): void {
    const hub = this.#hub
    switch (verb) {
      case 'publish':
        hub.publish(wire.decodeEvent(payload), this)
        break
      case 'subscribe':
        for (const topic of wire.decodeTopics(payload)) {
          this.#topics.add(topic)
          hub.subscribe(this, topic)
        }
        if (this.#topics.size > MAX_TOPICS) throw new SyntaxFault(`more than ${MAX_TOPICS} topics`, 'topics')
        this.send(wire.encodeHub('done', msgno))
        break
      case 'unsubscribe':
        for (const topic of wire.decodeTopics(payload)) {
          this.#topics.delete(topic)
          hub.unsubscribe(this, topic)
        }
        break
      case 'announce': {
        const { id, presence, since, again } = wire.decodeAnnounce(payload)
        if (this.presences.size >= MAX_PRESENCES) throw new SyntaxFault(`more than ${MAX_PRESENCES} presences`, 'id')
        if (this.presences.has(id)) throw new SyntaxFault(`presence ${id} is announced already`, 'id')
        const listed = { ...presence, host: this.#hello!.host, since }
        this.presences.set(id, listed)
        if (again) hub.announcedAgain(listed, this)
        else hub.presenceChanged(undefined, listed, this)
        break
      }
      case 'update': {
        const { id, changes } = wire.decodeUpdate(payload)
        const before = this.presences.get(id)
        if (!before) throw new SyntaxFault(`presence ${id} is not announced`, 'id')
        const after = { ...before, ...changes }
        this.presences.set(id, after)
        hub.presenceChanged(before, after, this)
        break
      }
      case 'withdraw': {
        const id = wire.decodeId(payload)
        const presence = this.presences.get(id)
        if (this.presences.delete(id)) hub.presenceChanged(presence, undefined, this)
        break
      }
      case 'list': {
        const all = hub.presences(wire.decodeList(payload))
        for (let from = 0; from === 0 || from < all.length; from += wire.PRESENCES_PER_MESSAGE) {
          const presences = all.slice(from, from + wire.PRESENCES_PER_MESSAGE)
          const more = from + wire.PRESENCES_PER_MESSAGE < all.length
          this.send(wire.encodeHub('presences', msgno, { presences, more }))
        }
        break
      }
      case 'serve': {
        const service = wire.decodeService(payload)
        if (wire.SECRET_SERVICES.has(service) && !this.isProtected)
          throw new SyntaxFault(`${service} takes credentials: serve it over a Unix socket or TLS`, 'service')
        this.#services.add(service)
        if (this.#services.size > MAX_SERVICES) throw new SyntaxFault(`more than ${MAX_SERVICES} services`, 'service')
        hub.requests.serve(this, service)
        break
      }
      case 'unserve': {
        const service = wire.decodeService(payload)
        this.#services.delete(service)
        hub.requests.unserve(this, service)
        break
      }
      case 'cancel':
        hub.requests.cancel(this, msgno)
        break
      case 'ping':
        this.send(wire.encodeHub('pong', msgno))
        break
      default:
        throw new SyntaxFault(`unknown message event:${verb}`, 'msg_type')
    }
  }
}
