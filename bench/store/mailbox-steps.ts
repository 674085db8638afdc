/** What is measured on a mailbox of a given size, whichever store it is in. */

/** A mailbox with `messages` messages in some store, and the way to do things to it. Every step resolves when the store calls it done. */
export interface MeasuredStore extends AsyncDisposable {
  readonly name: string
  /** Ends the process that has the mailbox open and starts another one, nothing of which has been read. */
  fresh(): Promise<void>
  /** Opens the mailbox, or opens it again. */
  open(): Promise<Cost>
  /** One flag on all messages, added or removed; nothing is told of each. */
  flagAll(mode: 'add' | 'remove', flag: string): Promise<Cost>
  /** All messages to a mailbox that is new. */
  copyAll(target: string): Promise<Cost>
  /** Every second message of a mailbox, marked before. */
  expungeHalf(mailbox: string): Promise<Cost>
}

export interface Cost {
  readonly wallMs: number
  readonly cpuMs: number
}

export interface Steps {
  readonly repeat: number
  /** Puts what was read from the disk out of memory. */
  evict(): void
}

/** What a program that compiles as it runs does slowly at first, it has done often by then. */
const changesBefore = 12

/** `figure` is told each step's cost. */
export async function measure(
  store: MeasuredStore,
  { repeat, evict }: Steps,
  figure: (step: string, cost: Cost) => void,
): Promise<void> {
  for (let turn = 0; turn < repeat; turn += 1) {
    await store.fresh()
    evict()
    figure('open, cold', await store.open())
    await store.open()
    figure('open, warm', await store.open())
    figure('flags on all', await store.flagAll('add', '\\Flagged'))
    figure('flags off all', await store.flagAll('remove', '\\Flagged'))
    for (let again = 0; again < changesBefore; again += 1) {
      await store.flagAll('add', '\\Flagged')
      await store.flagAll('remove', '\\Flagged')
    }
    figure('flags on all, again', await store.flagAll('add', '\\Flagged'))
    await store.flagAll('remove', '\\Flagged')
    const copy = `copy${turn}`
    figure('copy all', await store.copyAll(copy))
    figure('expunge half', await store.expungeHalf(copy))
  }
}
