/** The URLs of CATENATE, RFC 4469: parts of messages that the user can read, by URLs that are relative to this server and to the selected mailbox. */

import { StoreError, SyntaxFault } from '../base/errors.ts'
import { formatImapUrl, type ImapUrl, isAbsoluteUrl, parseImapUrl, resolveImapUrl } from '../proto/imap/url.ts'
import type { Body, Prepared } from './bodies.ts'
import { Refusal } from './replies.ts'
import type { Session } from './session.ts'
import { openUrlMessage } from './url-part.ts'

/** An open part. */
export interface CatenatedPart extends AsyncDisposable {
  readonly body: Body
}

/** Throws Refusal with BADURL; StoreError when the store fails. \Seen is not set by it. */
export async function openCatenated(session: Session, url: string): Promise<CatenatedPart> {
  const parsed = parse(session, url)
  if (parsed?.mailbox === undefined || parsed.access !== undefined) throw badUrl(url, 'names no message here')
  let message: Prepared | undefined
  try {
    const { account, local } = await session.hierarchy.permit(parsed.mailbox, 'r')
    message = await openUrlMessage(account, local, parsed)
  } catch (error) {
    if (!(error instanceof StoreError) || !isAboutUrl.has(error.kind)) throw error
  }
  const body = await message?.body(parsed)
  if (message !== undefined && body !== undefined)
    return { body, [Symbol.asyncDispose]: () => message[Symbol.asyncDispose]() }
  await message?.[Symbol.asyncDispose]()
  throw badUrl(url, 'names nothing that is there')
}

const isAboutUrl: ReadonlySet<string> = new Set(['not-found', 'no-permission', 'invalid'])

/** Absolute URLs are outside of RFC 4469 (§3), even those of this server: what it is called from outside, it can't know. */
function parse(session: Session, url: string): ImapUrl | undefined {
  if (isAbsoluteUrl(url) || url.startsWith('//')) return undefined
  try {
    const base = formatImapUrl({ host: 'localhost', user: session.userId, mailbox: session.selectedName })
    return parseImapUrl(resolveImapUrl(url, base))
  } catch (error) {
    if (error instanceof SyntaxFault) return undefined
    throw error
  }
}

/** Octets of the URL that are repeated. */
const toldOctets = 1000

function badUrl(url: string, why: string): Refusal {
  // What url-resp-text can't hold. RFC 4469 §5
  const told = url
    .slice(0, toldOctets)
    .replace(/[^\x20-\x5c\x5e-\x7e]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
  return new Refusal('NO', `BADURL ${told}`, `The URL ${why}`)
}
