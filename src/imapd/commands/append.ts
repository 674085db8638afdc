/** APPEND, RFC 3501 §6.3.11, of any number of messages (MULTIAPPEND, RFC 3502), also put together of parts (CATENATE, RFC 4469), with APPENDUID of UIDPLUS. */
import { formatAppendUid, readAppendMailbox } from '../../proto/imap/append.ts'
import { command, loggedIn } from '../command.ts'
import { Intake } from '../intake.ts'
import { tellNormalised } from '../names.ts'
import { openTarget } from '../target.ts'

export const append = command({
  name: 'APPEND',
  states: loggedIn,
  capabilities: ({ loggedIn, appendOctets }) => [
    'MULTIAPPEND',
    'CATENATE',
    ...(loggedIn ? [`APPENDLIMIT=${appendOctets}`] : []),
  ],
  // What stands between the messages is read as they come.
  parse: (args, { upload }) => ({ mailbox: readAppendMailbox(args), args, upload }),
  async run(session, { mailbox: name, args, upload }) {
    const target = await openTarget(session, name)
    await using mailbox = target.mailbox
    await using delivery = mailbox.deliver()
    const intake = new Intake(session, target, delivery, upload)
    await intake.read(args)
    tellNormalised(session, [], name, name)
    const uids = await intake.commit()
    target.put(uids)
    return { code: formatAppendUid(mailbox.uidValidity, uids) }
  },
})
