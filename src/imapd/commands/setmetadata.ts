/** SETMETADATA, RFC 5464 §4.3, RFC 7162 §3.2 */
import { maxMetadataOctets } from '../../base/limits.ts'
import { readSetMetadataArgs } from '../../proto/imap/metadata.ts'
import { type Annotations, annotationsOf } from '../annotations.ts'
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
    if (annotations.mailbox !== undefined) await raiseModSeq(annotations.mailbox)
    session.services.metadataChanges.tell(session, annotations.mailbox, [...values.keys()])
    return undefined
  },
})

/** So that clients that follow MODSEQs see that something changed. */
async function raiseModSeq({ account, local }: NonNullable<Annotations['mailbox']>): Promise<void> {
  await using mailbox = await account.open(local)
  if (!mailbox.readOnly) await mailbox.raiseModSeq()
}
