/** Takes the octets of a message in, and tells each recipient's fate. */
import type { Fate } from '../delivery/types.ts'
import type { Accepted } from './mail.ts'
import { Refusal, replyTo, replyToFate } from './replies.ts'
import { mailOf, type Session } from './session.ts'

/** Reads the octets to their end, whatever becomes of them. Throws what reading them does: then nothing of the message is kept. */
export async function take(session: Session, octets: AsyncIterable<Buffer>): Promise<void> {
  const mail = mailOf(session)
  const { deliverer } = session.services
  const { maxMessageOctets } = session.settings
  for await (const piece of octets) {
    if (mail.failure !== undefined) continue
    try {
      if (mail.octets + piece.length > maxMessageOctets)
        throw new Refusal(552, '5.3.4', `a message may have ${maxMessageOctets} octets`)
      await mail.write(deliverer, piece)
    } catch (error) {
      await mail.fail(replyTo(error, session.settings, session.log))
    }
  }
}

/** Ends the transaction with a reply for each recipient, in their order. RFC 2033 §4.2: also for one who was given twice */
export async function finish(session: Session): Promise<void> {
  const mail = mailOf(session)
  const { id } = mail.begun
  const begunAt = session.services.clock.monotonic()
  if (mail.failure === undefined && mail.accepted.length > 0) {
    const fates = await mail.end(session.services.deliverer)
    const ms = Math.round(session.services.clock.monotonic() - begunAt)
    for (const { accepted, fate } of fates) {
      session.reply(replyToFate(fate, accepted.address, id))
      logFate(session, accepted, fate, ms)
    }
  } else if (mail.failure !== undefined) {
    const { code, text } = mail.failure
    session.log.log('notice', 'message not taken', { id, from: mail.begun.sender, code, reason: text })
    for (const _ of mail.accepted) session.reply(mail.failure)
  }
  await session.begin(undefined)
}

/** LMTP-12 */
function logFate(session: Session, { address, recipient }: Accepted, fate: Fate, ms: number): void {
  const { begun, octets } = mailOf(session)
  const fields = {
    id: begun.id,
    from: begun.sender,
    to: address,
    user: recipient.userId,
    octets,
    ms,
    // Of the client that the mail server had it from.
    origin: session.origin.get('ADDR'),
  }
  switch (fate.kind) {
    case 'stored':
      for (const { mailbox, uid } of fate.places) session.log.log('info', 'delivered', { ...fields, mailbox, uid })
      break
    case 'duplicate':
      session.log.log('info', 'delivered before', { ...fields, mailbox: fate.mailbox })
      break
    case 'discarded':
      session.log.log('info', 'discarded or sent on by a script', fields)
      break
    case 'refused':
      session.log.log('info', 'refused by a script', fields)
      break
    case 'failed':
      session.log.log('notice', 'not delivered', {
        ...fields,
        code: fate.reply,
        status: fate.status,
        reason: fate.text,
      })
  }
}
