/** A message's summary: its structure and the header fields that clients ask for, so that the message need not be opened for them. */

import { Scanner } from './scan.ts'
import type { MessageSummary } from './types.ts'

/** Lower-case names of the fields that a summary holds: what the common clients show, sort and thread by. */
export const SUMMARY_FIELDS: readonly string[] = [
  'bcc',
  'cc',
  'content-transfer-encoding',
  'content-type',
  'date',
  'disposition-notification-to',
  'from',
  'importance',
  'in-reply-to',
  'list-id',
  'list-post',
  'list-unsubscribe',
  'message-id',
  'mime-version',
  'newsgroups',
  'priority',
  'references',
  'reply-to',
  'sender',
  'subject',
  'to',
  'x-priority',
  'x-spam-flag',
]

const summaryFields: ReadonlySet<string> = new Set(SUMMARY_FIELDS)

/**
 * Makes the summary of a message while its octets pass, in memory that does not depend on their number. Of a header longer than `mimeLimits.headerOctets` the fields
 * behind the limit are missing: whoever needs them (`root.bodyStart` tells) reads the message.
 */
export class Summarizer {
  readonly #scanner = new Scanner()

  /** The chunk is not kept. */
  push(chunk: Uint8Array): void {
    this.#scanner.push(chunk)
  }

  /** The message is complete. */
  end(): MessageSummary {
    const root = this.#scanner.end()
    const fields = this.#scanner.fields.filter(({ name }) => summaryFields.has(name))
    return { root, fields: fields.map(({ name, raw }) => [name, raw] as const) }
  }
}

/** Of a whole message. */
export function summarize(octets: Uint8Array): MessageSummary {
  const summarizer = new Summarizer()
  summarizer.push(octets)
  return summarizer.end()
}

/** Of one that comes in chunks. */
export async function summarizeStream(chunks: AsyncIterable<Uint8Array>): Promise<MessageSummary> {
  const summarizer = new Summarizer()
  for await (const chunk of chunks) summarizer.push(chunk)
  return summarizer.end()
}
