/** SETMETADATA, RFC 5464 §4.3 */
import { readSetMetadataArgs } from '../../proto/imap/metadata.ts'
import { maxMetadataOctets } from '../../store/metadata.ts'
import { annotationsOf } from '../annotations.ts'
import { command, loggedIn } from '../command.ts'
import { Refusal } from '../replies.ts'

export const setMetadata = command({
  name: 'SETMETADATA',
  states: loggedIn,
  parse: readSetMetadataArgs,
  async run(session, { mailbox, values }) {
    const annotations = await annotationsOf(session, mailbox)
    for (const value of values.values())
      if ((value?.length ?? 0) > maxMetadataOctets)
        throw new Refusal(
          'NO',
          `METADATA MAXSIZE ${maxMetadataOctets}`,
          `A value has at most ${maxMetadataOctets} octets`,
        )
    await annotations.write(values)
    session.services.metadataChanges.tell(session, annotations.mailbox, [...values.keys()])
    return undefined
  },
})
