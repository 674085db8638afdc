/** APPEND, RFC 3501 §6.3.11, with APPENDUID of UIDPLUS: the message passes through to the store and is never held. */
import { formatAppendUid, readAppendHead, readAppendWithoutLiteral } from '../../proto/imap/append.ts'
import { command, loggedIn } from '../command.ts'
import { Refusal } from '../replies.ts'
import { openTarget } from '../target.ts'

export const append = command({
  name: 'APPEND',
  states: loggedIn,
  parse: (args, { message }) =>
    message === undefined ? readAppendWithoutLiteral(args) : { head: readAppendHead(args), message },
  async run(session, { head, message }) {
    if (message.sizeOctets === 0) throw new Refusal('NO', 'CANNOT', 'A message is not empty')
    const { clock } = session.services
    const target = await openTarget(session, head.mailbox)
    await using mailbox = target.mailbox
    const addition = { octets: message.sizeOctets, messages: 1 }
    // Before the message is asked for. RFC 9208 §4.3.1
    await target.checkRoom(addition)
    await using delivery = mailbox.deliver()
    const internalDate = head.internalDate ?? Math.floor(clock.now() / 1000)
    const sink = delivery.add({ internalDate, flags: head.flags.filter(target.keepsFlag) })
    for await (const chunk of message.octets()) await sink.write(chunk)
    await sink.end()
    const [delivered] = await target.adding(addition, () => delivery.commit())
    if (delivered === undefined || !('uid' in delivered)) throw new Error('a message without origin was not taken')
    return { code: formatAppendUid(mailbox.uidValidity, delivered.uid) }
  },
})
