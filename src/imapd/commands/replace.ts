/** REPLACE and UID REPLACE, RFC 8508: a message instead of another one. The new one is safe before the old one goes, so a crash between leaves both. */
import type { Uid } from '../../base/ids.ts'
import { AppendReader, formatAppendUid, readAppendMailbox } from '../../proto/imap/append.ts'
import { readReplaced } from '../../proto/imap/replace.ts'
import type { Mailbox } from '../../store/types.ts'
import { highestModSeqCode } from '../announce.ts'
import { command, selected } from '../command.ts'
import { Intake } from '../intake.ts'
import { Refusal } from '../replies.ts'
import { openTarget } from '../target.ts'
import { livingUids } from './copy.ts'

export const replace = command({
  name: 'REPLACE',
  states: selected,
  uid: true,
  expunges: true,
  looks: 'always',
  capabilities: () => ['REPLACE'],
  parse: (args, { upload }) => ({ replaced: readReplaced(args), mailbox: readAppendMailbox(args), args, upload }),
  async run(session, { replaced, mailbox: name, args, upload }, { uid }) {
    // RFC 8508 §4.1
    const source = session.writable('t', 'e')
    const [old] = await livingUids(session, replaced, uid)
    if (old === undefined) throw gone()
    const target = await openTarget(session, name)
    await using mailbox = target.mailbox
    // Only what is more counts. RFC 8508 §3.4
    const freed = session.isOf(target.account)
      ? { octets: source.byUid(old)?.sizeOctets ?? 0, messages: 1 }
      : { octets: 0, messages: 0 }
    await using delivery = mailbox.deliver()
    const intake = new Intake(session, target, delivery, upload, freed)
    await intake.read(args, new AppendReader({ most: 1 }))
    // It may have taken minutes to come: the other one may be gone, or the right to remove it.
    await session.view.look()
    session.writable('t', 'e')
    if (source.byUid(old) === undefined) throw gone()
    const added = await intake.commit()
    target.put(added)
    try {
      // Of several who replace the same message, one does.
      if ((await source.expunge([old], 'client')).length === 0) throw gone()
    } catch (error) {
      // The client is told that nothing was done, and keeps what it sent. A commit that failed may have been made: then nothing goes on doubt.
      if (error instanceof Refusal || (await isThere(source, old))) await mailbox.expunge(added, 'client')
      throw error
    }
    // Before the EXPUNGE response, so that the client knows what came instead. RFC 8508 §4.3
    session.untagged('OK', 'Replaced', formatAppendUid(mailbox.uidValidity, added))
    if (!session.enabled.has('QRESYNC')) return undefined
    await session.announce(true, uid, true)
    return { code: highestModSeqCode(session.view) }
  },
})

const gone = () => new Refusal('NO', 'EXPUNGEISSUED', 'There is no such message to be replaced')

async function isThere(mailbox: Mailbox, uid: Uid): Promise<boolean> {
  await mailbox.refresh()
  return mailbox.byUid(uid) !== undefined
}
