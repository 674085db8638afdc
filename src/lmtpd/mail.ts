/** A mail transaction as it grows: MAIL, RCPT for each recipient, and the message by DATA or in chunks. RFC 5321 §3.3, RFC 2033 §4 */
import type { Deliverer, Fate, Incoming, Recipient, Transaction } from '../delivery/types.ts'
import type { Reply } from '../proto/lmtp/reply.ts'

/** One RCPT that was answered 250: it gets a reply of its own behind the message. */
export interface Accepted {
  /** As the client spelled it. */
  readonly address: string
  readonly recipient: Recipient
}

/** A place of its own: of several addresses that mean the same one, the message goes there once. */
const placeOf = ({ account, mailbox }: Recipient): string => `${account.path}\0${mailbox}`

export class Mail implements AsyncDisposable {
  /** All but the recipients. */
  readonly #begun: Omit<Transaction, 'recipients'>
  readonly #accepted: Accepted[] = []
  /** By place. */
  readonly #recipients = new Map<string, Recipient>()
  #incoming: Incoming | undefined
  #octets = 0
  #failure: Reply | undefined

  constructor(begun: Omit<Transaction, 'recipients'>) {
    this.#begun = begun
  }

  get begun(): Omit<Transaction, 'recipients'> {
    return this.#begun
  }

  get accepted(): readonly Accepted[] {
    return this.#accepted
  }

  /** Whether octets of the message came already. */
  get hasBegun(): boolean {
    return this.#incoming !== undefined || this.#failure !== undefined
  }

  /** So far. */
  get octets(): number {
    return this.#octets
  }

  get isBinary(): boolean {
    return this.#begun.parameters.get('BODY')?.toUpperCase() === 'BINARYMIME'
  }

  get isUtf8(): boolean {
    return this.#begun.parameters.has('SMTPUTF8')
  }

  /** Why the message can't be taken; what comes of it is only read. */
  get failure(): Reply | undefined {
    return this.#failure
  }

  accept(address: string, recipient: Recipient): void {
    this.#accepted.push({ address, recipient })
    const place = placeOf(recipient)
    if (!this.#recipients.has(place)) this.#recipients.set(place, recipient)
  }

  /** Nothing of the message is kept. The first reason counts. */
  async fail(reply: Reply): Promise<void> {
    this.#failure ??= reply
    await this[Symbol.asyncDispose]()
  }

  /** Throws StoreError. */
  async write(deliverer: Deliverer, octets: Buffer): Promise<void> {
    this.#octets += octets.length
    await this.#begin(deliverer).write(octets)
  }

  /** The message is complete. In the order in which the recipients were accepted. */
  async end(deliverer: Deliverer): Promise<readonly { readonly accepted: Accepted; readonly fate: Fate }[]> {
    const incoming = this.#begin(deliverer)
    const fates = await incoming.end()
    const byPlace = new Map([...this.#recipients.keys()].map((place, index) => [place, fates[index]!]))
    return this.#accepted.map((accepted) => ({ accepted, fate: byPlace.get(placeOf(accepted.recipient))! }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const incoming = this.#incoming
    this.#incoming = undefined
    await incoming?.[Symbol.asyncDispose]()
  }

  #begin(deliverer: Deliverer): Incoming {
    this.#incoming ??= deliverer.begin({ ...this.#begun, recipients: [...this.#recipients.values()] })
    return this.#incoming
  }
}
