/**
 * Requests on their way to the one process that serves them, and answers on their way back. The payload, which may hold
 * a credential, is handed through unread: it is not kept, logged or shown to anybody else. GW-25
 */
import type { Failure, ServiceVerb } from '../events/wire.ts'
import { encodeMpp, MAX_INTEGER } from '../proto/mpp/message.ts'
import type { Session } from './session.ts'

interface Outstanding {
  readonly service: string
  readonly asker: Session
  readonly askerMsgno: number
  readonly server: Session
}

const MAX_OUTSTANDING_PER_SESSION = 10_000

/** Who serves what, and what is unanswered. */
export class Requests {
  /** First registered is asked; the others stand by. */
  readonly #servers = new Map<string, Session[]>()
  /** By the number that the server knows it by. */
  readonly #outstanding = new Map<number, Outstanding>()
  /** By asker and the number that the asker knows it by. */
  readonly #byAsker = new Map<Session, Map<number, number>>()
  /** Even: odd ones are the clients'. EVT-10 */
  #msgno = 0

  serve(session: Session, service: string): void {
    const servers = this.#servers.get(service)
    if (!servers) this.#servers.set(service, [session])
    else if (!servers.includes(session)) servers.push(session)
  }

  unserve(session: Session, service: string): void {
    const left = this.#servers.get(service)?.filter((server) => server !== session) ?? []
    if (left.length > 0) this.#servers.set(service, left)
    else this.#servers.delete(service)
  }

  /** False when `msgno` is outstanding already, which the protocol forbids. */
  ask(asker: Session, service: string, verb: 'ask' | 'secret', msgno: number, payload: Buffer): boolean {
    const own = this.#byAsker.get(asker) ?? new Map<number, number>()
    if (own.has(msgno)) return false
    const refuse = (failure: Failure) => asker.send(encode(service, 'failure', msgno, failure))
    if (verb === 'secret' && !asker.isProtected) {
      refuse({ text: 'a credential came over an unprotected channel', retryable: false })
      return true
    }
    if (own.size >= MAX_OUTSTANDING_PER_SESSION) {
      refuse({ text: `${own.size} requests are unanswered`, retryable: true })
      return true
    }
    const server = this.#servers.get(service)?.find((session) => verb === 'ask' || session.isProtected)
    if (!server) {
      refuse({ text: `no process serves ${service}`, retryable: true, reason: 'unserved' })
      return true
    }
    const id = this.#nextMsgno()
    own.set(msgno, id)
    this.#byAsker.set(asker, own)
    this.#outstanding.set(id, { service, asker, askerMsgno: msgno, server })
    server.send(encodeMpp(`${service}:${verb}`, id, payload))
    return true
  }

  /** Hands an answer or failure back. One that nobody waits for any more is dropped. */
  answer(server: Session, service: string, verb: 'answer' | 'failure', id: number, payload: Buffer): void {
    const request = this.#outstanding.get(id)
    if (request?.server !== server || request.service !== service) return
    this.#forget(id, request)
    request.asker.send(encodeMpp(`${service}:${verb}`, request.askerMsgno, payload))
  }

  /** The asker gave up. */
  cancel(asker: Session, msgno: number): void {
    const id = this.#byAsker.get(asker)?.get(msgno)
    const request = id === undefined ? undefined : this.#outstanding.get(id)
    if (id === undefined || !request) return
    this.#forget(id, request)
    request.server.send(encodeMpp('event:cancel', id, Buffer.from('{}')))
  }

  /** The session is gone: who asked it hears so, what it asked is cancelled. */
  disconnected(session: Session): void {
    for (const service of [...this.#servers.keys()]) this.unserve(session, service)
    for (const msgno of [...(this.#byAsker.get(session)?.keys() ?? [])]) this.cancel(session, msgno)
    for (const [id, request] of [...this.#outstanding]) {
      if (request.server !== session) continue
      this.#forget(id, request)
      const text = `the process that serves ${request.service} went away before its answer`
      const failure: Failure = { text, retryable: true, reason: 'lost' }
      request.asker.send(encode(request.service, 'failure', request.askerMsgno, failure))
    }
  }

  #forget(id: number, { asker, askerMsgno }: Outstanding): void {
    this.#outstanding.delete(id)
    const own = this.#byAsker.get(asker)
    own?.delete(askerMsgno)
    if (own?.size === 0) this.#byAsker.delete(asker)
  }

  #nextMsgno(): number {
    do this.#msgno = this.#msgno + 2 > MAX_INTEGER ? 2 : this.#msgno + 2
    while (this.#outstanding.has(this.#msgno))
    return this.#msgno
  }
}

const encode = (service: string, verb: ServiceVerb, msgno: number, failure: Failure): Buffer =>
  encodeMpp(`${service}:${verb}`, msgno, Buffer.from(JSON.stringify(failure)))
