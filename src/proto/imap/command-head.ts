/** The start of a command: tag SP name, with the UID prefix taken into it. RFC 9051 §9 rules command, tag, uid */

import { SyntaxFault } from '../../base/errors.ts'
import type { Command } from './receiver-events.ts'
import { type CommandText, TokenReader } from './token-reader.ts'

/** Throws SyntaxFault. */
export function readCommand(text: CommandText): Command {
  const args = new TokenReader(text)
  const tag = args.tag()
  if (args.peek() === '') throw args.fault('command', 'a space and a command behind the tag')
  args.sp()
  const word = args.keyword('command')
  if (word !== 'UID') return { tag, name: word, uid: false, args }
  args.sp()
  return { tag, name: args.keyword('uid'), uid: true, args }
}

/** The tag at the start of a command's first line; a fault of the command is answered with it. */
export function findTag(line: string): string | undefined {
  const reader = new TokenReader({ pieces: [line], literals: [] })
  try {
    const tag = reader.tag()
    return reader.peek() === ' ' ? tag : undefined
  } catch (error) {
    if (error instanceof SyntaxFault) return undefined
    throw error
  }
}
