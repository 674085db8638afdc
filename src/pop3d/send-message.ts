/** A message's octets on their way from the store to the client, in chunks. RFC 1939 §5 (RETR), §7 (TOP) */
import { DotStuffer } from '../proto/pop3/dot-stuffing.ts'
import { ok } from '../proto/pop3/response.ts'
import type { TopCutter } from '../proto/pop3/top.ts'
import type { MessageRecord } from '../store/types.ts'
import { BrokenOff, type Session } from './session.ts'

/**
 * Sends `heading`, made of the octets that the message has, and the message, or the part that `cutter` passes. Throws StoreError when the message can't be read and nothing
 * was sent yet; afterwards BrokenOff, because -ERR would be taken for a line of the message.
 */
export async function sendMessage(
  { connection, maildrop, output }: Session,
  record: MessageRecord,
  heading: (octets: number) => string,
  cutter: TopCutter | undefined,
): Promise<void> {
  await using content = await maildrop.mailbox.content(record)
  const stuffer = new DotStuffer()
  let started = false
  try {
    for await (const chunk of content.stream()) {
      if (!started) output.write(ok(heading(content.sizeOctets)))
      started = true
      output.write(stuffer.push(cutter ? cutter.push(chunk) : chunk))
      await output.flow()
      if (cutter?.done) break
    }
  } catch (cause) {
    if (!started || connection.signal.aborted) throw cause
    throw new BrokenOff('in the middle of a message', { cause })
  }
  if (!started) output.write(ok(heading(content.sizeOctets)))
  output.write(stuffer.end())
}
