import { StoreError } from '../base/errors.ts'
import type { Uid } from '../base/ids.ts'
import type { StoreContext } from './context.ts'
import { ArrivingMessage, fate, settleAll } from './delivery.ts'
import type { OpenMailbox } from './mailbox.ts'
import { operations } from './mailbox-state.ts'
import type { Delivered, Delivery, MessageSink, NewMessage } from './types.ts'

const maxUid = 0xffffffff

/** One delivery of any number of messages to one mailbox. */
export class MailboxDelivery implements Delivery {
  private readonly context: StoreContext
  private readonly mailbox: OpenMailbox
  private readonly messages: ArrivingMessage[] = []
  private over = false

  constructor(context: StoreContext, mailbox: OpenMailbox) {
    this.context = context
    this.mailbox = mailbox
  }

  add(message: NewMessage): MessageSink {
    if (this.over) throw new Error('the delivery is over')
    const known = message.origin === undefined ? undefined : this.mailbox.byOrigin(message.origin)
    const flags = this.mailbox.canonicalFlags(message.flags ?? [])
    const arriving = new ArrivingMessage(this.context, this.mailbox.directory, message, flags, known)
    this.messages.push(arriving)
    return arriving
  }

  async commit(): Promise<readonly Delivered[]> {
    if (this.over) throw new Error('the delivery is over')
    this.over = true
    const complete: ArrivingMessage[] = []
    try {
      await this.mailbox.changing(settleAll(this.messages))
      for (const message of this.messages)
        if (message.arrived !== undefined) complete.push(message)
        else await message.remove()
      if (complete.length > 0) this.check(complete)
    } catch (error) {
      await this.removeAll()
      throw error
    }
    if (complete.length === 0) return this.messages.map((message) => fate(message, undefined))
    // From here on the files stay, whatever happens: a commit that seems to have failed may have been made.
    return await this.mailbox.commit({
      folder: `${this.mailbox.directory}/msg`,
      plan: () => {
        this.check(complete)
        return complete.map((arriving) => {
          const { file, flags, message } = arriving.arrived!
          return operations.add({ file, flags, origin: message.origin, uidl: message.uidl, uid: message.uid })
        })
      },
      done: (outcomes) => {
        const fates = new Map(complete.map((message, index) => [message, outcomes[index]?.delivered]))
        for (const [message, delivered] of fates)
          if (delivered !== undefined && 'duplicateOf' in delivered) void message.remove()
        return this.messages.map((message) => fate(message, fates.get(message)))
      },
    })
  }

  async abandon(): Promise<void> {
    if (this.over) return
    this.over = true
    await this.removeAll()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.abandon()
  }

  private async removeAll(): Promise<void> {
    await Promise.all(this.messages.map((message) => message.remove()))
  }

  /** UIDs that a migration names must be free, in the state that the commit will follow. */
  private check(messages: readonly ArrivingMessage[]): void {
    let next = this.mailbox.uidNext
    for (const { message } of messages) {
      if (message.uid !== undefined) {
        if (message.uid < next)
          throw new StoreError('invalid', `UID ${message.uid} is below UIDNEXT ${next}; UIDs must ascend`)
        next = message.uid
      }
      next = (next + 1) as Uid
    }
    if (next > maxUid) throw new StoreError('limit', 'The mailbox has used up its UIDs; copy its messages to a new one')
  }
}
