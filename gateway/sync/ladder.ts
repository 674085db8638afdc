/**
 * Messages that a backend lists and doesn't give in the usual way: the protocol may have others, and if they give no more than the header, that is
 * shown until the message comes. docs/decisions/0181-a-stub-until-the-message-comes.md
 */
import type { Clock } from '#src/base/clock.ts'
import type { Mailbox } from '#src/store/types.ts'
import type { Injector } from './inject/injector.ts'
import type { Setbacks, Trouble } from './setbacks.ts'
import { missingStub, type Stub, showStubs, stubOrigin } from './stub.ts'

/** A server that refuses more than this has trouble of another kind: each has to fail so often before it is looked at closely. */
const mostAtOnce = 20
const patience = 4

/** What another way led to: the whole message, which the injector has then, or what is known of its beginning. */
export type Rescued = 'whole' | Buffer | undefined

export interface LadderRequest<Entry extends { readonly origin: string }> {
  readonly mailbox: Mailbox
  readonly injector: Injector
  readonly setbacks: Setbacks
  readonly clock: Clock
  /** Did not come, in this session or before; all have a setback. */
  readonly missed: readonly Entry[]
  /** Tries the other ways. Throws BackendError when the session is lost. */
  rescue(entry: Entry, trouble: Trouble): Promise<Rescued>
}

/** Answers those that came after all. Throws BackendError and StoreError; stubs that could be made are there then. */
export const climb = async <Entry extends { readonly origin: string }>(
  request: LadderRequest<Entry>,
): Promise<readonly Entry[]> => {
  const { mailbox, injector, setbacks, clock, missed, rescue } = request
  const many = missed.length > mostAtOnce
  const due = missed.flatMap((entry) => {
    const trouble = setbacks.of(entry.origin)
    const isKnown = mailbox.byOrigin(stubOrigin(entry.origin)) !== undefined
    if (trouble === undefined || isKnown) return []
    return trouble.count >= (many ? patience : trouble.isRefused ? 1 : 2) ? [{ entry, trouble }] : []
  })
  if (due.length === 0) return []
  const stubs: Stub[] = []
  const healed: Entry[] = []
  try {
    for (const { entry, trouble } of due) {
      const { origin } = entry
      const { why } = trouble
      if (!setbacks.risk(origin)) {
        stubs.push(missingStub(origin, undefined, why))
        continue
      }
      const found = await rescue(entry, trouble)
      setbacks.survived(origin)
      if (found === 'whole') healed.push(entry)
      else stubs.push(missingStub(origin, found, why))
    }
    await injector.finish()
  } finally {
    await showStubs(mailbox, stubs, Math.floor(clock.now() / 1_000))
  }
  return healed
}
