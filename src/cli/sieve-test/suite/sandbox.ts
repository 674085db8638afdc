/** Where the actions of a test suite are done: by what delivery does them with, into mailboxes and an outbox in memory. */

import { StoreError } from '../../../base/errors.ts'
import type { UserId } from '../../../base/ids.ts'
import { silentLog } from '../../../base/log.ts'
import { Decider } from '../../../delivery/filter/decider.ts'
import { duplicateKey } from '../../../delivery/filter/environment.ts'
import { knownFlag, type Mailboxes } from '../../../delivery/filter/mailboxes.ts'
import { Remembered } from '../../../delivery/filter/remembered.ts'
import type { IncomingMessage, MessageTrack, Placing, Recipient, Tracked } from '../../../delivery/types.ts'
import { addressText, envelopeAddress } from '../../../sieve/address.ts'
import { messageInMemory } from '../../../sieve/in-memory.ts'
import { RunningMessage } from '../../../sieve/message.ts'
import type { Action, Envelope, Environment, SieveMessage } from '../../../sieve/types.ts'
import { canonicalName } from '../../../store/names.ts'
import type { Account } from '../../../store/types.ts'
import type { Outgoing } from '../../../submission/spool.ts'

const nobody = 'nobody@example.com'

export class Sandbox {
  readonly #folders = new Map<string, Buffer[]>([['INBOX', []]])
  readonly #annotations = new Map<string, string>()
  readonly #tracked = new Map<string, Tracked>()
  #sent: { readonly octets: Buffer; readonly envelope: Envelope }[] = []

  /** Throws StoreError invalid for what is no name. */
  create(given: string): void {
    const folder = canonicalName(given)
    if (!this.#folders.has(folder)) this.#folders.set(folder, [])
  }

  annotate(mailbox: string | undefined, entry: string, value: string): void {
    this.#annotations.set(`${mailbox ?? ''} ${entry.toLowerCase()}`, value)
  }

  forgetSent(): void {
    this.#sent = []
  }

  sent(index: number): SieveMessage | undefined {
    const found = this.#sent[index]
    return found === undefined ? undefined : messageInMemory(found.octets, found.envelope)
  }

  stored(folder: string, index: number, envelope: Envelope): SieveMessage | undefined {
    const octets = this.#has(folder) ? this.#folders.get(canonicalName(folder))?.[index] : undefined
    return octets === undefined ? undefined : messageInMemory(octets, envelope)
  }

  /** What scripts ask here. */
  get environment(): Pick<Environment, 'mailboxExists' | 'metadata' | 'isDuplicate' | 'specialUseExists'> {
    return {
      mailboxExists: async (name) => this.#has(name),
      specialUseExists: async () => false,
      metadata: async (mailbox, entry) => this.#annotations.get(`${mailbox ?? ''} ${entry.toLowerCase()}`),
      isDuplicate: async (handle, id) => this.#tracked.has(`id ${duplicateKey(handle, id)}`),
    }
  }

  /** False when one can't be done. */
  async perform(actions: readonly Action[], octets: Buffer, envelope: Envelope): Promise<boolean> {
    const decider = new Decider({
      turn: new Remembered(this.#track, silentLog).of(''),
      outbox: { add: (outgoing) => this.#send(outgoing) },
      log: silentLog,
      recipient: recipientOf(envelope),
      incoming: incomingOf(octets),
      message: new RunningMessage(messageInMemory(octets, envelope)),
      mailboxes: this.#mailboxes,
      redirect: { mode: 2, sender: undefined, domain: 'example.com' },
      nowMs: Date.now(),
      addressesOf: async () => [],
    })
    let isDone = true
    for (const action of actions)
      try {
        await decider.take(action)
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        isDone = false
        decider.keep(action)
      }
    const decision = decider.decision()
    for (const placing of decision.placings) this.#store(placing, octets)
    await decision.perform?.()
    for (const tracked of decision.tracked ?? []) this.#tracked.set(`${tracked.kind} ${tracked.key}`, tracked)
    return isDone
  }

  #has(name: string): boolean {
    try {
      return this.#folders.has(canonicalName(name))
    } catch (error) {
      if (error instanceof StoreError) return false
      throw error
    }
  }

  #store({ mailbox, header, body }: Placing, octets: Buffer): void {
    this.create(mailbox)
    const { header: original } = messageInMemory(octets, { from: '', to: '' })
    this.#folders
      .get(canonicalName(mailbox))!
      .push(Buffer.concat([header ?? original, body ?? octets.subarray(original.length)]))
  }

  async #send(outgoing: readonly Outgoing[]): Promise<void> {
    for (const { octets, sender, recipient } of outgoing) {
      const pieces: Buffer[] = []
      if (Buffer.isBuffer(octets)) pieces.push(octets)
      else for await (const piece of octets) pieces.push(Buffer.from(piece))
      this.#sent.push({ octets: Buffer.concat(pieces), envelope: { from: sender, to: recipient } })
    }
  }

  get #mailboxes(): Mailboxes {
    return {
      placing: async ({ mailbox, flags = [], create = false }) => {
        if (!this.#folders.has(canonicalName(mailbox)) && !create)
          throw new StoreError('not-found', 'the mailbox does not exist')
        return { mailbox, flags: flags.flatMap((flag) => knownFlag(flag) ?? []), create }
      },
      exists: async (name) => this.#has(name),
      hasUses: async () => false,
      annotation: async (name, entry) => this.#annotations.get(`${name ?? ''} ${entry.toLowerCase()}`),
    }
  }

  get #track(): MessageTrack {
    return {
      // Each test answers anew.
      find: async (kind, _owner, key) => (kind === 'id' && this.#tracked.has(`id ${key}`) ? 0 : undefined),
      add: async () => {},
      async *list() {},
      close: async () => {},
    }
  }
}

function recipientOf({ to }: Envelope): Recipient {
  const address = addressText(envelopeAddress(to === '' ? nobody : to))
  return {
    address,
    parameters: new Map(),
    detail: undefined,
    userId: address as UserId,
    // Nothing of it is asked for where mailboxes are given.
    account: { userId: address as UserId } as Account,
    mailbox: 'INBOX',
    adding: (_octets, work) => work(),
  }
}

const incomingOf = (octets: Buffer): IncomingMessage => ({
  sizeOctets: octets.length,
  header: Buffer.from(messageInMemory(octets, { from: '', to: '' }).header),
  read: async (start, end) => octets.subarray(start, end),
  async *stream(start = 0, end = octets.length) {
    yield octets.subarray(start, end)
  },
})
