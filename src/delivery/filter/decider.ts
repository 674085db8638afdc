/** Actions of scripts, one after the other, to one decision. */
import type { Log } from '../../base/log.ts'
import { readMailto } from '../../sieve/mailto.ts'
import type { RunningMessage } from '../../sieve/message.ts'
import type {
  Action,
  EditedMessage,
  Fcc,
  NotifyAction,
  RedirectAction,
  RejectAction,
  VacationAction,
} from '../../sieve/types.ts'
import type { Outbox } from '../../submission/queue.ts'
import type { Outgoing } from '../../submission/spool.ts'
import type { Decision, IncomingMessage, Placing, Recipient, Tracked } from '../types.ts'
import { inAscii, mayBeTold, rejection } from './disposition.ts'
import { duplicateKey } from './environment.ts'
import { fileCopy } from './file-copy.ts'
import { deskAt, isAutomatic } from './letter.ts'
import { type Destination, knownFlag, type Mailboxes } from './mailboxes.ts'
import { notification } from './notification.ts'
import { identityOf, loopOf, redirected, redirectSender, type SenderRules } from './redirect.ts'
import type { Turn } from './remembered.ts'
import { defaultPeriodSeconds, vacationReply, whyUnanswered } from './vacation.ts'

export interface DeciderParts {
  readonly turn: Turn
  readonly outbox: Outbox
  readonly log: Log
  readonly recipient: Recipient
  readonly incoming: IncomingMessage
  /** As it came. */
  readonly message: RunningMessage
  /** Undefined for a shared folder: its mail stays in it. */
  readonly mailboxes: Mailboxes | undefined
  readonly redirect: SenderRules
  readonly nowMs: number
  readonly addressesOf: (recipient: Recipient) => Promise<readonly string[]>
}

/** A day: who hands a message over twice does so sooner. */
const redirectedSeconds = 86_400

interface Copy {
  readonly fcc: Fcc
  readonly octets: Buffer
}

export class Decider {
  readonly #parts: DeciderParts
  /** Whose name letters bear: the user's, or the address of a shared folder. */
  readonly #owner: string
  readonly #placings: Placing[] = []
  readonly #outgoing: Outgoing[] = []
  readonly #tracked: Tracked[] = []
  readonly #copies: Copy[] = []
  #refusal: string | undefined

  constructor(parts: DeciderParts) {
    this.#parts = parts
    this.#owner = parts.recipient.userId ?? parts.recipient.address
  }

  /** Throws StoreError for one that can't be done. */
  async take(action: Action): Promise<void> {
    switch (action.type) {
      case 'keep':
        this.keep(action)
        return
      case 'fileinto':
        this.#placings.push({ ...(await this.#placing(action)), ...editOf(action.message) })
        return
      case 'redirect':
        await this.#redirect(action)
        return
      case 'discard':
        return
      case 'reject':
      case 'ereject':
        await this.#reject(action)
        return
      case 'vacation':
        await this.#answer(action)
        return
      case 'notify':
        await this.#notify(action)
        return
      case 'remember-duplicate': {
        const { handle, id, periodSeconds } = action
        this.#track({
          kind: 'id',
          key: duplicateKey(handle, id),
          ...(periodSeconds === undefined ? {} : { seconds: periodSeconds }),
        })
      }
    }
  }

  /** Where it goes without a script, with what the action says of it. */
  keep(action: Action): void {
    const flags = ('flags' in action ? action.flags : undefined) ?? []
    this.#placings.push({
      mailbox: this.#parts.recipient.mailbox,
      flags: flags.flatMap((flag) => knownFlag(flag) ?? []),
      create: false,
      ...editOf('message' in action && typeof action.message === 'object' ? action.message : undefined),
    })
  }

  decision(): Decision {
    const placings = this.#placings
    const [outgoing, copies] = [this.#outgoing, this.#copies]
    return {
      placings,
      ...(this.#refusal === undefined ? {} : { refusal: { text: this.#refusal } }),
      tracked: this.#tracked,
      end: () => this.#parts.turn.end(),
      ...(outgoing.length === 0 && copies.length === 0
        ? {}
        : {
            perform: async () => {
              await this.#parts.outbox.add(outgoing)
              for (const copy of copies) await this.#keepCopy(copy)
            },
          }),
    }
  }

  async #placing(destination: Destination): Promise<Placing> {
    const { mailboxes, recipient } = this.#parts
    if (mailboxes !== undefined) return await mailboxes.placing(destination)
    const { mailbox, flags = [], create = false } = destination
    return { mailbox: mailbox || recipient.mailbox, flags: flags.flatMap((flag) => knownFlag(flag) ?? []), create }
  }

  async #redirect(action: RedirectAction): Promise<void> {
    const { message, recipient, redirect, incoming, log, turn } = this.#parts
    const { address, list, message: edited } = action
    const owner = this.#owner
    const loop =
      list === undefined
        ? (loopOf(message, recipient.address) ?? loopOf(message, owner))
        : 'the members of a list are not known here'
    if (loop !== undefined) {
      log.log('err', 'a message is not sent on, and kept', { to: address, reason: loop })
      if (!action.copy) this.keep(action)
      return
    }
    const identity = identityOf(message)
    const key = `redirect ${address} ${identity}`
    if (identity !== undefined) {
      if ((await turn.knows('id', key)) === true) {
        log.log('info', 'a message was sent on before', { to: address })
        return
      }
      this.#track({ kind: 'id', key, seconds: redirectedSeconds })
    }
    const sender = redirectSender(message.envelope.from, owner, redirect)
    this.#send('redirect', sender, address, redirected(incoming, owner, edited))
  }

  /** In the protocol, for its text is read by whoever sent it; by a message only for what a reply can't say. RFC 5429 §2.1, §2.2 */
  async #reject({ type, reason }: RejectAction): Promise<void> {
    const { message, nowMs, redirect } = this.#parts
    const isAscii = /^[\x00-\x7f]*$/.test(reason)
    if (isAscii || type === 'ereject' || !mayBeTold(message)) {
      this.#refusal = inAscii(reason)
      return
    }
    const octets = await rejection(reason, message, this.#owner, deskAt(nowMs, redirect.domain))
    this.#send('reject', '', message.envelope.from, octets)
  }

  async #answer(action: VacationAction): Promise<void> {
    const { message, recipient, turn, log, nowMs, redirect, addressesOf } = this.#parts
    const { userId } = recipient
    const to = message.envelope.from
    const own =
      userId === undefined ? [] : [recipient.address, userId, ...(await addressesOf(recipient)), ...action.addresses]
    const why = userId === undefined ? 'it is for a shared folder' : whyUnanswered(message, own)
    if (why !== undefined) {
      log.log('info', 'no vacation reply', { to, reason: why })
      return
    }
    const seconds = action.periodSeconds ?? defaultPeriodSeconds
    const key = `${JSON.stringify(action.handle)} ${to.toLowerCase()}`
    if (seconds > 0) {
      const hasHad = await turn.knows('vacation', key)
      if (hasHad !== false) {
        const reason = hasHad ? 'the sender has had one' : 'whether the sender has had one is not known'
        log.log('info', 'no vacation reply', { to, reason })
        return
      }
      this.#track({ kind: 'vacation', key, seconds, shown: to })
    }
    const octets = await vacationReply(action, message, userId!, deskAt(nowMs, redirect.domain))
    this.#send('vacation', '', to, octets, action.fcc)
  }

  async #notify(action: NotifyAction): Promise<void> {
    const { message, log, nowMs, redirect } = this.#parts
    const mailto = readMailto(action.method)
    if (mailto === undefined || isAutomatic(message)) {
      const reason = mailto === undefined ? 'the method is not known' : 'it is an automatic message'
      log.log('info', 'no notification', { method: action.method, reason })
      return
    }
    const owner = this.#owner
    const octets = await notification(action, mailto, message, owner, deskAt(nowMs, redirect.domain))
    const sender = message.envelope.from === '' ? '' : owner
    const already = new Set(this.#outgoing.flatMap(({ kind, recipient: to }) => (kind === 'notify' ? [to] : [])))
    const fresh = new Set([...mailto.to, ...mailto.cc]).difference(already)
    for (const to of fresh) this.#send('notify', sender, to, octets)
    if (action.fcc !== undefined) this.#copies.push({ fcc: action.fcc, octets })
  }

  #send(kind: Outgoing['kind'], sender: string, recipient: string, octets: Outgoing['octets'], fcc?: Fcc): void {
    this.#outgoing.push({ kind, sender, recipient, owner: this.#owner, octets })
    if (fcc !== undefined && Buffer.isBuffer(octets)) this.#copies.push({ fcc, octets })
  }

  #track(tracked: Omit<Tracked, 'owner'>): void {
    this.#tracked.push({ ...tracked, owner: this.#parts.turn.owner })
  }

  /** Without one the answer is sent all the same. RFC 8580 §3 */
  async #keepCopy({ fcc, octets }: Copy): Promise<void> {
    const { recipient, log, nowMs } = this.#parts
    try {
      await fileCopy(await this.#placing(fcc), recipient, octets, Math.floor(nowMs / 1_000))
    } catch (error) {
      log.log('notice', 'no copy of what a Sieve script sent is kept', { mailbox: fcc.mailbox, reason: String(error) })
    }
  }
}

const editOf = (edited: EditedMessage | undefined): Pick<Placing, 'header' | 'body'> =>
  edited === undefined ? {} : { header: edited.header, ...(edited.body === undefined ? {} : { body: edited.body }) }
