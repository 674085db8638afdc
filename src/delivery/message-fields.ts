import { fieldValue, splitFields } from '../mime/header.ts'
import { messageIds } from '../mime/message-id.ts'

/** A field that no two messages have alike. RFC 5322 §3.6.4, RFC 5321 §4.4 */
const telling = /^(?:received|message-id)[ \t]*:/im

/** What a delivery asks of a header, which is only read as far as it is asked. */
export class MessageFields {
  /** With the empty line behind it; of a longer one its beginning. */
  readonly header: Buffer
  /** Octets of trace fields that were added here. */
  private readonly addedOctets: number

  /** `beginning`: of the message, with the trace fields. */
  constructor(beginning: Buffer, addedOctets: number) {
    const end = beginning.indexOf('\r\n\r\n')
    this.header = end < 0 ? beginning : beginning.subarray(0, end + 4)
    this.addedOctets = addedOctets
  }

  /** Octets as they came: who sends the same ones again sends the same message. Else they may be another one that says the same. */
  get isUnmistakable(): boolean {
    return telling.test(this.header.toString('latin1', this.addedOctets))
  }

  /** Undefined where there is none, or none that is valid. */
  get messageId(): string | undefined {
    for (const field of splitFields(this.header.toString('latin1', this.addedOctets)))
      if (field.name === 'message-id') for (const id of messageIds(fieldValue(field))) return id
    return undefined
  }
}
