/** Messages that this site writes, in MIME: header fields and parts as values in, octets out. RFC 5322, RFC 2045, RFC 2047 */
import MimeNode from 'nodemailer/lib/mime-node'

export interface Part {
  /** With its parameters. */
  readonly type: string
  readonly content: string | Buffer
}

export interface Composed {
  /** In their order; values are Unicode, and encoded and folded here. A date, Message-ID and MIME-Version are needed. */
  readonly fields: readonly (readonly [name: string, value: string])[]
  readonly date: Date
  /** Without angle brackets. */
  readonly messageId: string
  readonly body:
    | Part
    | { readonly type: string; readonly parts: readonly Part[] }
    /** A MIME entity of its own, with its header: it is taken as it is, but for line ends. */
    | { readonly entity: string }
}

export async function compose({ fields, date, messageId, body }: Composed): Promise<Buffer> {
  const root = new MimeNode('type' in body ? body.type : undefined, options)
  for (const [key, given] of fields) {
    const value = foldable(given)
    const isDone = !encoded.test(key) && /^[\x20-\x7e]*$/.test(value)
    root.addHeader(key, isDone ? { prepared: true, foldLines: true, value } : value)
  }
  root.setHeader({ Date: date, 'Message-ID': `<${messageId}>` })
  if ('entity' in body) {
    const entity = Buffer.from(withCrlf(body.entity))
    return Buffer.concat([Buffer.from(`${root.buildHeaders()}\r\n`), entity])
  }
  if ('content' in body) root.setContent(plain(body.content))
  else
    for (const { type, content } of body.parts) {
      const part = root.createChild(type).setContent(plain(content))
      // A message in a message is never encoded. RFC 2046 §5.2.1
      if (!type.startsWith('text/plain') && Buffer.from(content).some((octet) => octet > 127))
        for (const node of [root, part]) node.setHeader('Content-Transfer-Encoding', '8bit')
    }
  return root.build()
}

/** Of RFC 5322 §2.1.1, with room for what is put around it. */
const unbrokenCharacters = 900

/** A line can be broken between words alone: what is none is cut. */
export const foldable = (value: string): string =>
  value.length <= unbrokenCharacters ? value : value.replace(/\S+/g, (word) => word.slice(0, unbrokenCharacters))

/** A CR of its own has no place in mail. RFC 5322 §2.3 */
const withCrlf = (text: string): string => text.replace(/\r\n?|\n/g, '\r\n')
const plain = (content: string | Buffer) => (typeof content === 'string' ? withCrlf(content) : content)

/** Those that hold addresses, ids, or text for people. In the others quotes are a part of what a program reads. */
const encoded = /^(?:from|sender|reply-to|to|cc|in-reply-to|references|subject|comments|keywords)$/i

const options = { newline: 'win', disableFileAccess: true, disableUrlAccess: true } as const

/** From, To and the like: an address with the name that belongs to it. */
export const named = (name: string, address: string): string =>
  name === '' ? address : `${JSON.stringify(name)} <${address}>`

/** An address in the fields of a report. RFC 3464 §2.1.2, RFC 6533 §3 */
export const typed = (address: string): string => `${/[^\x20-\x7e]/.test(address) ? 'utf-8' : 'rfc822'}; ${address}`
