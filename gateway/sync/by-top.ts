/** The other way to a message of a maildrop: TOP. */
import { BackendError } from '../backend/errors.ts'
import type { BodySink, PopClient } from '../backend/types.ts'
import { headerLimit } from './header.ts'
import type { Injector } from './inject/injector.ts'
import type { LadderRequest, Rescued } from './ladder.ts'
import { hasUniqueId, type Identified } from './origin.ts'

export const rescueByTop = (client: PopClient, injector: Injector): LadderRequest<Identified>['rescue'] => {
  let sizes: ReadonlyMap<number, number> | undefined
  return async (entry, { isRefused }) => {
    // What ends a session in the middle of a message does so again; a header is harmless.
    if (!isRefused) return headerByTop(client, entry.number)
    sizes ??= await announcedSizes(client)
    return wholeByTop(client, injector, entry, sizes.get(entry.number))
  }
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
): Promise<Rescued> => {
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
