/** GENURLAUTH, URLFETCH and RESETKEY: arguments and responses. RFC 4467 §7 to §9, RFC 5524 §3, §5 */

import { SyntaxFault } from '../../base/errors.ts'
import { formatString } from './strings.ts'
import type { TokenReader } from './token-reader.ts'
import { type ImapUrl, parseImapUrl } from './url.ts'

/** A URL that names a message, its owner and who may fetch by it, and has no token yet. */
export interface RumpUrl {
  readonly text: string
  readonly url: ImapUrl & Required<Pick<ImapUrl, 'access'>>
  /** Upper case. */
  readonly mechanism: string
}

/** `1*(SP url-rump SP mechanism) CRLF` */
export function readGenUrlauthArgs(input: TokenReader): readonly RumpUrl[] {
  const urls: RumpUrl[] = []
  do {
    input.sp()
    const text = input.astring('url-rump')
    const url = parseImapUrl(text)
    if (url.access === undefined) throw new SyntaxFault('url-rump: expected ;URLAUTH= with an access identifier', 'url')
    if (url.verifier !== undefined) throw new SyntaxFault('url-rump: expected no token', 'url')
    if (url.user === undefined) throw new SyntaxFault('url-rump: expected the user whose mailbox it is', 'url')
    input.sp()
    urls.push({ text, url, mechanism: input.keyword('mechanism') })
  } while (input.peek() !== '')
  input.end()
  return urls
}

/** `* GENURLAUTH "imap://…:internal:0123…"` */
export function formatGenUrlauth(urls: readonly string[]): string {
  return `* GENURLAUTH ${urls.map(formatString).join(' ')}\r\n`
}

export type UrlfetchItem = 'BODYPARTSTRUCTURE' | 'BODY' | 'BINARY'
const urlfetchItems: readonly UrlfetchItem[] = ['BODYPARTSTRUCTURE', 'BODY', 'BINARY']

export interface UrlfetchArg {
  readonly text: string
  /** undefined: nothing that could be fetched by anybody. */
  readonly url: ImapUrl | undefined
  /** Empty: the text as it is, in the simple form. */
  readonly items: ReadonlySet<UrlfetchItem>
}

/** `1*(SP (url-full / "(" url-full *(SP url-fetch-param) ")")) CRLF` */
export function readUrlfetchArgs(input: TokenReader): readonly UrlfetchArg[] {
  const args: UrlfetchArg[] = []
  do {
    input.sp()
    if (!input.tryChar('(')) {
      args.push({ ...readUrl(input), items: new Set() })
      continue
    }
    const url = readUrl(input)
    const items = new Set<UrlfetchItem>()
    while (input.tryChar(' ')) {
      const word = input.keyword('url-fetch-param')
      const item = urlfetchItems.find((known) => known === word)
      if (item === undefined || items.has(item))
        throw input.tokenFault('url-fetch-param', 'BODY, BINARY or BODYPARTSTRUCTURE, each once')
      items.add(item)
    }
    if (items.has('BODY') && items.has('BINARY')) throw input.tokenFault('url-fetch-param', 'either BODY or BINARY')
    input.char(')', 'url-fetch-ext')
    args.push({ ...url, items })
  } while (input.peek() !== '')
  input.end()
  return args
}

/** Whatever is no URL is answered NIL, not BAD. RFC 4467 §8 */
function readUrl(input: TokenReader): Pick<UrlfetchArg, 'text' | 'url'> {
  const text = input.astring('url-full')
  try {
    return { text, url: parseImapUrl(text) }
  } catch (error) {
    if (error instanceof SyntaxFault) return { text, url: undefined }
    throw error
  }
}

export interface ResetkeyArgs {
  /** undefined: all keys go. */
  readonly mailbox: string | undefined
  /** Upper case. */
  readonly mechanisms: readonly string[]
}

/** `[SP mailbox *(SP mechanism)] CRLF` */
export function readResetkeyArgs(input: TokenReader): ResetkeyArgs {
  if (!input.tryChar(' ')) {
    input.end()
    return { mailbox: undefined, mechanisms: [] }
  }
  const mailbox = input.mailbox()
  const mechanisms: string[] = []
  while (input.tryChar(' ')) mechanisms.push(input.keyword('mechanism'))
  input.end()
  return { mailbox, mechanisms }
}
