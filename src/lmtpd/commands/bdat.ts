/** BDAT: RFC 3030 §2, RFC 2033 §4.3. The octets of a chunk that is refused are read all the same. */
import { SyntaxFault } from '../../base/errors.ts'
import { type Chunk, parseChunk } from '../../proto/lmtp/command.ts'
import type { Reply } from '../../proto/lmtp/reply.ts'
import type { Command } from '../command.ts'
import { finish, take } from '../message.ts'
import { Refusal } from '../replies.ts'
import { mailOf, mustBeGreeted, type Session } from '../session.ts'

export const bdat: Command = {
  keyword: 'BDAT',
  async run(session, argument) {
    const chunk = chunkOf(session, argument)
    const octets = session.input.chunk(chunk.octets)
    const refusal = refusalOf(session)
    if (refusal !== undefined) {
      for await (const _ of octets);
      throw refusal
    }
    await take(session, octets)
    if (chunk.isLast) {
      await finish(session)
      return undefined
    }
    const { failure, octets: received } = mailOf(session)
    return failure ?? ({ code: 250, status: '2.0.0', text: `${received} octets so far` } satisfies Reply)
  },
}

/** Throws SyntaxFault or Refusal, and ends the session: where the chunk ends is not known, or too far away. */
function chunkOf(session: Session, argument: string): Chunk {
  try {
    const chunk = parseChunk(argument)
    const { maxMessageOctets } = session.settings
    if (chunk.octets > maxMessageOctets)
      throw new Refusal(552, '5.3.4', `a message may have ${maxMessageOctets} octets`)
    return chunk
  } catch (error) {
    if (error instanceof SyntaxFault || error instanceof Refusal) session.end()
    throw error
  }
}

function refusalOf(session: Session): Refusal | undefined {
  try {
    mustBeGreeted(session)
    mailOf(session)
    return undefined
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}
