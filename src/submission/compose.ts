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
  for (const [key, value] of fields) {
    const isDone = !encoded.test(key) && /^[\x20-\x7e]*$/.test(value)
    root.addHeader(key, isDone ? { prepared: true, foldLines: true, value } : value)
  }
  root.setHeader({ Date: date, 'Message-ID': `<${messageId}>` })
  if ('entity' in body) {
    const entity = Buffer.from(body.entity.replace(/\r?\n/g, '\r\n'))
    return Buffer.concat([Buffer.from(`${root.buildHeaders()}\r\n`), entity])
  }
  if ('content' in body) root.setContent(body.content)
  else
    for (const { type, content } of body.parts) {
      const part = root.createChild(type).setContent(content)
      // A message in a message is never encoded. RFC 2046 §5.2.1
      if (!type.startsWith('text/plain') && Buffer.from(content).some((octet) => octet > 127))
        for (const node of [root, part]) node.setHeader('Content-Transfer-Encoding', '8bit')
    }
  return root.build()
}

/** Those that hold addresses, ids, or text for people. In the others quotes are a part of what a program reads. */
const encoded = /^(?:from|sender|reply-to|to|cc|in-reply-to|references|subject|comments|keywords)$/i

const options = { newline: 'win', disableFileAccess: true, disableUrlAccess: true } as const

/** From, To and the like: an address with the name that belongs to it. */
export const named = (name: string, address: string): string =>
  name === '' ? address : `${JSON.stringify(name)} <${address}>`
