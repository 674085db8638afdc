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
 * Of a whole message. Of a header longer than `mimeLimits.headerOctets` the fields behind the limit are missing: whoever needs them
 * (`root.bodyStart` tells) reads the message.
 */
export function summarize(octets: Uint8Array): MessageSummary {
  const scanner = new Scanner()
  scanner.push(octets)
  return finish(scanner)
}

/** The same, in memory that does not depend on the size of the message. */
export async function summarizeStream(chunks: AsyncIterable<Uint8Array>): Promise<MessageSummary> {
  const scanner = new Scanner()
  for await (const chunk of chunks) scanner.push(chunk)
  return finish(scanner)
}

function finish(scanner: Scanner): MessageSummary {
  const root = scanner.end()
  const fields = scanner.fields.filter(({ name }) => summaryFields.has(name))
  return { root, fields: fields.map(({ name, raw }) => [name, raw] as const) }
}
