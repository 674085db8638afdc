/** Puts the messages of an APPEND into a mailbox: all of them in one commit, or none. Octets pass through to the store and are never held. RFC 3502 */

import type { Uid } from '../base/ids.ts'
import { BinaryToBase64 } from '../mime/binary-to-base64.ts'
import { AppendReader, type AppendStep } from '../proto/imap/append.ts'
import type { TokenReader } from '../proto/imap/token-reader.ts'
import type { Addition } from '../server/quotas.ts'
import type { Delivery, MessageSink } from '../store/types.ts'
import type { Body } from './bodies.ts'
import { openCatenated } from './catenate.ts'
import { Refusal } from './replies.ts'
import type { Session } from './session.ts'
import type { Target } from './target.ts'
import type { Upload } from './upload.ts'

/** Of one command. */
const maxMessages = 100_000
/** Different ones: a mailbox has no more keywords. */
const maxKinds = 1000
/** Flags of all messages, each as often as it is given. */
const maxFlags = 1_000_000

const nothing: Addition = { octets: 0, messages: 0 }

export class Intake {
  readonly #session: Session
  readonly #target: Target
  readonly #upload: Upload | undefined
  readonly #delivery: Delivery
  /** What has come, and what is announced. */
  #octets = 0
  #messages = 0
  /** There was room for this. */
  #checked = nothing
  readonly #freed: Addition
  /** Each once, in memory of its own: one that is cut out of its line would keep the whole line until the commit. */
  readonly #flags = new Map<string, string>()
  #flagCount = 0
  /** The message that comes. */
  #sink: MessageSink | undefined
  #sizeOctets = 0

  /**
   * `delivery`: one to the target's mailbox. `upload`: what follows the text, if anything does. `freed`: what goes when the messages are there, which
   * counts for the quota.
   */
  constructor(session: Session, target: Target, delivery: Delivery, upload: Upload | undefined, freed = nothing) {
    this.#freed = freed
    this.#session = session
    this.#target = target
    this.#delivery = delivery
    this.#upload = upload
  }

  /** Reads the command to its end. Throws SyntaxFault, Refusal, StoreError: then nothing of it may be committed. */
  async read(args: TokenReader, reader = new AppendReader()): Promise<void> {
    let text = args
    for (;;) {
      const followed = this.#upload?.literal !== undefined
      for (const step of reader.read(text, followed)) {
        switch (step.step) {
          case 'message':
            this.#begin(step.flags, step.internalDate)
            break
          case 'literal':
            await this.#literal(this.#upload!, step)
            break
          case 'url':
            await this.#url(step.url)
            break
          case 'end':
            await this.#end()
            break
        }
      }
      if (!followed) return
      text = this.#upload!.text
    }
  }

  /** The UIDs in the order of the messages. Throws StoreError. */
  async commit(): Promise<readonly Uid[]> {
    const delivered = await this.#target.adding(this.#net(), () => this.#delivery.commit())
    return delivered.map((one) => {
      if (!('uid' in one)) throw new Error('a message without origin was not taken')
      return one.uid
    })
  }

  #begin(flags: readonly string[], internalDate: number | undefined): void {
    if (++this.#messages > maxMessages)
      throw new Refusal('NO', 'LIMIT', `At most ${maxMessages} messages in one APPEND`)
    const now = Math.floor(this.#session.services.clock.now() / 1000)
    this.#sizeOctets = 0
    this.#sink = this.#delivery.add({
      internalDate: internalDate ?? now,
      flags: flags.filter(this.#target.keepsFlag).map((flag) => this.#held(flag)),
    })
  }

  #held(flag: string): string {
    const held = this.#flags.get(flag) ?? Buffer.from(flag, 'latin1').toString('latin1')
    this.#flags.set(held, held)
    if (++this.#flagCount > maxFlags || this.#flags.size > maxKinds)
      throw new Refusal('NO', 'LIMIT', `At most ${maxFlags} flags, of ${maxKinds} kinds, in one APPEND`)
    return held
  }

  async #literal(upload: Upload, { isWhole, isUtf8 }: AppendStep & { step: 'literal' }): Promise<void> {
    const { binary, sizeOctets } = upload.literal!
    // RFC 6855 §4
    if (isUtf8 && !this.#session.enabled.has('UTF8=ACCEPT'))
      throw new Refusal('NO', 'CANNOT', 'UTF8 is for sessions that enabled UTF8=ACCEPT')
    // RFC 4469 §5
    if (binary && !isWhole && !isUtf8) throw new Refusal('BAD', undefined, 'literal8 is for whole messages')
    await this.#grow(sizeOctets)
    if (binary && isWhole) await this.#write(this.#withoutBinary(upload.octets()))
    else await this.#write(upload.octets())
  }

  /** Parts that say that they are binary become base64: IMAP has no way to send them as they are but BINARY. RFC 3516 §4.4 */
  async *#withoutBinary(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    const message = new BinaryToBase64()
    const grown = (pieces: readonly Buffer[], from: number): readonly Buffer[] => {
      if (message.hasNul)
        throw new Refusal('NO', 'UNKNOWN-CTE', 'NUL outside of a part whose Content-Transfer-Encoding is binary')
      this.#octets += pieces.reduce((sum, { length }) => sum + length, -from)
      return pieces
    }
    for await (const chunk of chunks) yield* grown(message.push(chunk), chunk.length)
    yield* grown(message.end(), 0)
  }

  async #url(url: string): Promise<void> {
    await using part = await openCatenated(this.#session, url)
    await this.#grow(part.body.sizeOctets)
    await this.#write(part.body.chunks)
  }

  async #write(chunks: Body['chunks']): Promise<void> {
    for await (const chunk of chunks) {
      const written = this.#sink!.write(chunk)
      if (written !== undefined) await written
    }
  }

  /** So much is to be added to the message. Said before it is asked for. RFC 7889 §4, RFC 9208 §4.3.1 */
  async #grow(octets: number): Promise<void> {
    const { appendOctets } = this.#session.services.settings()
    this.#sizeOctets += octets
    this.#octets += octets
    if (this.#sizeOctets > appendOctets)
      throw new Refusal('NO', 'TOOBIG', `message is larger than ${appendOctets} octets`)
    // Counted again when it has doubled: a count looks at every mailbox. The commit decides.
    const { octets: octetsChecked, messages } = this.#checked
    if (this.#octets <= 2 * octetsChecked && this.#messages <= 2 * messages) return
    this.#checked = { octets: this.#octets, messages: this.#messages }
    await this.#target.checkRoom(this.#net())
  }

  #net(): Addition {
    return {
      octets: Math.max(0, this.#octets - this.#freed.octets),
      messages: Math.max(0, this.#messages - this.#freed.messages),
    }
  }

  async #end(): Promise<void> {
    // Also how a client cancels. RFC 3502
    if (this.#sizeOctets === 0) throw new Refusal('NO', 'CANNOT', 'A message is not empty')
    const ended = this.#sink!.end()
    if (ended !== undefined) await ended
  }
}
