/**
 * Messages that a maildrop lists and RETR doesn't give: TOP may, and if it gives no more than the header, that is shown until the message comes.
 * docs/decisions/0181-a-stub-until-the-message-comes.md
 */
import type { Clock } from '#src/base/clock.ts'
import type { Mailbox } from '#src/store/types.ts'
import { BackendError } from '../backend/errors.ts'
import type { BodySink, PopClient } from '../backend/types.ts'
import { headerLimit } from './header.ts'
import type { Injector } from './inject/injector.ts'
import { hasUniqueId, type Identified } from './origin.ts'
import type { Setbacks } from './setbacks.ts'
import { type Stub, showStubs, stubOrigin } from './stub.ts'

/** A server that refuses more than this has trouble of another kind: each has to fail so often before it is looked at closely. */
const mostAtOnce = 20
const patience = 4

export interface LadderRequest {
  readonly client: PopClient
  readonly mailbox: Mailbox
  readonly injector: Injector
  readonly setbacks: Setbacks
  readonly clock: Clock
  /** Did not come, in this session or before; all have a setback. */
  readonly missed: readonly Identified[]
}

/** Answers how many came after all. Throws BackendError and StoreError; stubs that could be made are there then. */
export const climb = async (request: LadderRequest): Promise<number> => {
  const { client, mailbox, injector, setbacks, clock, missed } = request
  const many = missed.length > mostAtOnce
  const due = missed.flatMap((entry) => {
    const trouble = setbacks.of(entry.origin)
    const isKnown = mailbox.byOrigin(stubOrigin(entry.origin)) !== undefined
    if (trouble === undefined || isKnown) return []
    return trouble.count >= (many ? patience : trouble.isRefused ? 1 : 2) ? [{ entry, trouble }] : []
  })
  if (due.length === 0) return 0
  const stubs: Stub[] = []
  let healed = 0
  try {
    const sizes = due.some(({ trouble }) => trouble.isRefused) ? await announcedSizes(client) : new Map()
    for (const { entry, trouble } of due) {
      const { origin, number } = entry
      const { why, isRefused } = trouble
      if (!setbacks.risk(origin)) {
        stubs.push({ origin, why, header: undefined })
        continue
      }
      // What ends a session in the middle of a message does so again; a header is harmless.
      const found = isRefused
        ? await wholeByTop(client, injector, entry, sizes.get(number))
        : await headerByTop(client, number)
      setbacks.survived(origin)
      if (found === 'whole') healed++
      else stubs.push({ origin, why, header: found })
    }
    await injector.finish()
  } finally {
    await showStubs(mailbox, stubs, Math.floor(clock.now() / 1_000))
  }
  return healed
}

const announcedSizes = async (client: PopClient): Promise<ReadonlyMap<number, number>> => {
  try {
    return await client.list()
  } catch (error) {
    if (error instanceof BackendError && !error.retryable) return new Map()
    throw error
  }
}

const headerByTop = async (client: PopClient, number: number): Promise<Buffer | undefined> => {
  let header: Buffer | undefined
  const take = (_: number, octets: Buffer) => {
    if (octets.length > 0) header = octets
  }
  await client.top([number], 0, take, () => {})
  return header
}

/**
 * With more lines than a message has, TOP is RETR under another name. Some servers cut it, so it counts as the message only when it has as many
 * octets as were announced; else its beginning is the answer, and undefined where nothing came.
 */
const wholeByTop = async (
  client: PopClient,
  injector: Injector,
  entry: Identified,
  size: number | undefined,
): Promise<Buffer | 'whole' | undefined> => {
  const start: Buffer[] = []
  let octets = 0
  let isWhole = false
  await client.retrieve(
    [entry.number],
    (): BodySink => {
      const sink = injector.open({ ...entry, isCompared: !hasUniqueId(entry.origin) }, () => {})
      return {
        write: (chunk) => {
          if (octets < headerLimit) start.push(chunk.subarray(0, headerLimit - octets))
          octets += chunk.length
          return sink.write(chunk)
        },
        end: () => {
          isWhole = octets > 0 && octets === size
          return isWhole ? sink.end() : sink.abort(new Error('not the whole message'))
        },
        abort: (reason) => sink.abort(reason),
      }
    },
    () => {},
    'TOP',
  )
  if (isWhole) return 'whole'
  return octets === 0 ? undefined : Buffer.concat(start)
}
