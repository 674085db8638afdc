/** URLFETCH, RFC 4467, with what RFC 5524 adds: octets by URLs that their owners authorised, whatever rights the user has. */
import { StoreError } from '../../base/errors.ts'
import { findPart } from '../../mime/section.ts'
import { formatBodyStructure } from '../../proto/imap/body-structure.ts'
import { formatString } from '../../proto/imap/strings.ts'
import { readUrlfetchArgs, type UrlfetchArg } from '../../proto/imap/urlauth.ts'
import { Disconnected } from '../../server/client-octets.ts'
import type { Body, Prepared } from '../bodies.ts'
import { command, loggedIn } from '../command.ts'
import type { DecodedBody } from '../decoded-body.ts'
import { withoutNul } from '../nul.ts'
import type { Session } from '../session.ts'
import { openAuthorised } from '../url-access.ts'

export const urlfetch = command({
  name: 'URLFETCH',
  states: loggedIn,
  parse: readUrlfetchArgs,
  async run(session, args) {
    for (const arg of args) await tell(session, arg)
    return undefined
  },
})

async function tell(session: Session, { text, url, items }: UrlfetchArg): Promise<void> {
  const { output } = session
  const needsSummary = items.has('BODYPARTSTRUCTURE')
  const message = url === undefined ? undefined : await openAuthorised(session, url, { needsSummary })
  const head = `* URLFETCH ${formatString(text)}`
  if (message === undefined || url === undefined || (items.size > 0 && !message.has(url))) {
    await message?.[Symbol.asyncDispose]()
    output.write(`${head} NIL\r\n`)
    return
  }
  await using prepared = message
  const body = items.size === 0 || items.has('BODY') ? await prepared.body(url) : undefined
  const decoded = items.has('BINARY') && prepared.isDecodable(url) ? await prepared.decoded(url) : undefined
  output.write(head)
  // RFC 4467 §8: the URL is valid, so it is not NIL.
  if (items.size === 0) await write(session, body ?? { sizeOctets: 0, chunks: [] })
  for (const item of items) {
    output.write(` (${item}`)
    if (item === 'BODYPARTSTRUCTURE') output.write(` ${structureOf(prepared, url.section.part, decoded)}`)
    else await write(session, item === 'BODY' ? body : decoded)
    output.write(')')
  }
  output.write('\r\n')
}

/** Of what is sent: without its encoding, that is an identity. RFC 5524 §3.2 */
function structureOf({ summary }: Prepared, path: readonly number[], decoded: DecodedBody | undefined): string {
  const part = findPart(summary!.root, path)!
  const sent =
    decoded === undefined || path.length === 0
      ? part
      : { ...part, encoding: 'binary', end: part.bodyStart + decoded.sizeOctets, lines: decoded.lines }
  return formatBodyStructure(sent, { extended: true })
}

async function write(session: Session, body: Body | DecodedBody | undefined): Promise<void> {
  const { output } = session
  if (body === undefined) {
    output.write(' NIL')
    return
  }
  const binary = 'hasNul' in body && body.hasNul
  output.write(` ${binary ? '~' : ''}{${body.sizeOctets}}\r\n`)
  let left = body.sizeOctets
  try {
    for await (const chunk of body.chunks) {
      left -= chunk.length
      output.write(binary ? chunk : withoutNul(chunk))
      await output.flow()
    }
    if (left !== 0) throw new StoreError('damaged', 'a message ended before its size')
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    // The client waits for the rest of the response and would take anything else for it: only closing tells it.
    session.log.log('err', 'what a URL names can not be read to its end', { cause: error.message })
    throw new Disconnected('in the middle of a message')
  }
}
