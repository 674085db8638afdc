/** What a mailbox there holds, told as it is read: a line for each message and nothing of what is in it. RFC 9051 §6.4.5 */
import type { Uid } from '#src/base/ids.ts'
import { BackendError } from '../errors.ts'
import { printable } from '../reply-classifier.ts'
import { internalDate, type MessageFacts, messageIn } from './bulk.ts'
import type { ImapConnection } from './connection.ts'
import type { Part } from './response-reader.ts'

export interface ListedMessage extends MessageFacts {
  /** One list for all messages with the same ones. */
  readonly flags: readonly string[]
  /** RFC822.SIZE; undefined when the server told none. */
  readonly sizeOctets: number | undefined
}

/** Of the selected mailbox, from this UID on; `told` must not throw. Throws BackendError. */
export async function listMessages(
  connection: ImapConnection,
  from: number,
  told: (message: ListedMessage) => void,
): Promise<void> {
  const lines = new ListedLines()
  const status = await connection.run({
    words: [`UID FETCH ${from}:* (UID FLAGS INTERNALDATE RFC822.SIZE)`],
    untagged: (parts) => {
      const message = lines.message(parts)
      // Where there is none so high, `*` is the last one. RFC 9051 §9 seq-range
      if (message !== undefined && message.uid >= from) told(message)
    },
  })
  if (status.condition !== 'OK')
    throw new BackendError('temporary', 'the backend would not list its messages', {
      serverText: printable(status.text),
    })
}

const beginning = /^[0-9]+ FETCH \(/iy
const item =
  /(?:UID ([1-9][0-9]{0,9})|FLAGS \(([^()"]*)\)|INTERNALDATE "([^"\\]*)"|RFC822\.SIZE ([0-9]{1,14})|MODSEQ \([0-9]+\))([ )])/iy
/** No message has more octets than 14 digits tell. */
const isSize = /^[0-9]{1,14}$/

/** As nearly all servers write what was asked for, in any order; what is written in another way is parsed as any response is. */
class ListedLines {
  readonly #flags = new Map<string, readonly string[]>()

  message(parts: readonly Part[]): ListedMessage | undefined {
    const [line] = parts
    const plain = parts.length === 1 && typeof line === 'string' ? this.#plain(line) : undefined
    if (plain !== undefined) return plain
    const message = messageIn(parts)
    if (message === undefined) return undefined
    const { facts, values } = message
    const size = values.get('RFC822.SIZE')
    const sizeOctets = typeof size === 'string' && isSize.test(size) ? Number(size) : undefined
    return { ...facts, flags: this.#shared(facts.flags.join(' ')), sizeOctets }
  }

  #plain(line: string): ListedMessage | undefined {
    beginning.lastIndex = 0
    if (!beginning.test(line)) return undefined
    let [uid, flags, date, size] = [0, '', '', '']
    for (let at = beginning.lastIndex; at < line.length; at = item.lastIndex) {
      item.lastIndex = at
      const match = item.exec(line)
      if (match === null || (match[5] === ')') !== (item.lastIndex === line.length)) return undefined
      if (match[1] !== undefined) uid = Number(match[1])
      else if (match[2] !== undefined) flags = match[2]
      else if (match[3] !== undefined) date = match[3]
      else if (match[4] !== undefined) size = match[4]
    }
    if (uid === 0 || uid > 0xffffffff || date === '' || size === '') return undefined
    return {
      uid: uid as Uid,
      flags: this.#shared(flags),
      internalDate: internalDate(date),
      sizeOctets: Number(size),
    }
  }

  #shared(text: string): readonly string[] {
    let flags = this.#flags.get(text)
    if (flags === undefined) {
      flags = text.split(' ').filter((flag) => flag !== '' && flag.toLowerCase() !== '\\recent')
      this.#flags.set(text, flags)
    }
    return flags
  }
}
