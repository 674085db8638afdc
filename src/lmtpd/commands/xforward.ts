/**
 * XFORWARD: where a mail server has a message from, as Postfix tells it (XFORWARD_README). Of trusted ones alone; for logs and filters, since the mail server wrote a trace
 * field of its own. docs/decisions/0362-who-is-believed.md
 */
import { SyntaxFault } from '../../base/errors.ts'
import { decodeXtext } from '../../proto/lmtp/xtext.ts'
import type { Command } from '../command.ts'
import { Refusal } from '../replies.ts'
import type { Origin } from '../session.ts'

const names = ['NAME', 'ADDR', 'PORT', 'PROTO', 'HELO', 'IDENT', 'SOURCE'] as const
type Name = (typeof names)[number]
const maxValueOctets = 255
/** The mail server does not know it, or not now. */
const unknown = ['[UNAVAILABLE]', '[TEMPUNAVAIL]']

export const xforward: Command = {
  keyword: 'XFORWARD',
  extensions: ({ isTrusted }) => (isTrusted ? [`XFORWARD ${names.join(' ')}`] : []),
  async run(session, argument) {
    if (!session.isTrusted) throw new Refusal(550, '5.7.1', 'XFORWARD is not for this client: lmtp_trusted_hosts')
    if (session.mail !== undefined) throw new Refusal(503, '5.5.1', 'not within a transaction')
    const told = new Map<Name, string>(session.origin)
    for (const attribute of argument.split(' ').filter((word) => word !== '')) {
      const equals = attribute.indexOf('=')
      const name = names.find((known) => known === attribute.slice(0, Math.max(equals, 0)).toUpperCase())
      const value = decodeXtext(attribute.slice(equals + 1))
      if (name === undefined || value === undefined || value.length > maxValueOctets || /\p{Cc}/u.test(value))
        throw new SyntaxFault(`XFORWARD takes attributes NAME=value: ${names.join(' ')}`, 'argument')
      if (unknown.includes(value.toUpperCase())) told.delete(name)
      else told.set(name, value)
    }
    session.origin = told satisfies Origin
    return { code: 250, status: '2.0.0', text: 'noted' }
  },
}
