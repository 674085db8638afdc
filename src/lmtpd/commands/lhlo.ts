/**
 * LHLO: RFC 2033 §4.1. Begins the session anew (RFC 5321 §4.1.4); the name is remembered, and not believed. DSN is not offered: a mail server that
 * sees it leaves the notification of success (RFC 3461 §5.2.3) to us, and has our reply a recipient to write it from.
 */
import { SyntaxFault } from '../../base/errors.ts'
import type { Command } from '../command.ts'
import { commands } from './index.ts'

const maxNameOctets = 255

export const lhlo: Command = {
  keyword: 'LHLO',
  async run(session, argument) {
    // A domain, an address literal, or whatever a mail server thinks is one.
    if (!/^[\x21-\x7e\u{80}-\u{10ffff}]+$/u.test(argument) || Buffer.byteLength(argument) > maxNameOctets)
      throw new SyntaxFault('LHLO takes the name of the client', 'argument')
    await session.begin(undefined)
    session.helo = argument
    const { host, maxMessageOctets } = session.settings
    const lines = [
      host,
      'PIPELINING',
      `SIZE ${maxMessageOctets}`,
      '8BITMIME',
      'BINARYMIME',
      'CHUNKING',
      'SMTPUTF8',
      'ENHANCEDSTATUSCODES',
      ...[...commands.values()].flatMap((row) => row.extensions?.(session) ?? []),
    ]
    return { code: 250, text: lines.join('\n') }
  },
}
