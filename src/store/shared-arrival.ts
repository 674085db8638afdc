import type { StoreContext } from './context.ts'
import type { Arrived, Arriving } from './delivery.ts'
import { type Handed, handedAs } from './handed.ts'
import { checkNumbers, checkOrigin, messageFileName } from './message-file.ts'
import type { Coming, StoredShared } from './shared-message.ts'
import type { Flag, NewMessage, OriginState } from './types.ts'
import { uniqueName } from './unique.ts'

/** A message that is complete and goes to other mailboxes as well, on its way into this one. */
export class SharedArrival implements Arriving {
  readonly message: NewMessage
  readonly duplicateOf: OriginState | undefined
  /** What it was handed over as. */
  readonly handed: Handed | undefined
  arrived: Arrived | undefined
  private readonly context: StoreContext
  private readonly path: string
  private readonly coming: Coming | undefined

  /** `directory`: the mailbox's. */
  constructor(
    context: StoreContext,
    directory: string,
    message: NewMessage,
    flags: readonly Flag[],
    duplicateOf: OriginState | undefined,
    shared: StoredShared,
  ) {
    const { internalDate, origin, handed } = message
    if (origin !== undefined) checkOrigin(origin)
    checkNumbers(internalDate)
    const { digest, sizeOctets } = shared
    this.context = context
    this.message = message
    this.duplicateOf = duplicateOf
    this.handed = handed === undefined ? undefined : handedAs(handed)
    const unique = this.handed?.unique ?? uniqueName()
    const file = messageFileName({ internalDate, origin, digest, sizeOctets, unique })
    this.path = `${directory}/msg/${file}`
    if (duplicateOf !== undefined) return
    this.arrived = { file, made: undefined, flags, message }
    this.coming = shared.place(this.path)
  }

  get isComplete(): boolean {
    return this.arrived !== undefined
  }
  get begun(): Promise<void> {
    return this.coming?.begun ?? Promise.resolve()
  }
  get named(): Promise<void> {
    return this.coming?.named ?? Promise.resolve()
  }
  settled(): Promise<void> {
    return this.coming?.durable ?? Promise.resolve()
  }

  async remove(): Promise<void> {
    this.arrived = undefined
    if (this.coming === undefined) return
    await this.coming.durable.catch(() => {})
    if (!this.coming.isOwn) return
    await this.context.fs.remove(this.path).catch(() => {})
  }
}
