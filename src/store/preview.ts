import { previewOf } from '../mime/preview.ts'
import type { MessageSummary } from '../mime/types.ts'
import type { SummaryCache } from './summary-cache.ts'
import type { MessageContent, MessageRecord } from './types.ts'

/** What is asked of the mailbox. */
interface Source {
  content(record: MessageRecord): Promise<MessageContent>
  summary(record: MessageRecord): Promise<MessageSummary>
}

/** See `Mailbox.preview`. */
export async function previewIn(
  source: Source,
  summaries: SummaryCache,
  record: MessageRecord,
  { onlyCached = false }: { readonly onlyCached?: boolean } = {},
): Promise<string | undefined> {
  if (onlyCached) return (await summaries.find(record))?.preview
  const summary = await source.summary(record)
  if (summary.preview !== undefined) return summary.preview
  await using content = await source.content(record)
  const preview = await previewOf(summary.root, (start, end) => content.read(start, end))
  summaries.keep(record, { ...summary, preview })
  return preview
}
