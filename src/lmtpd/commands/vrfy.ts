/** VRFY and EXPN: RFC 5321 §3.5.3, §7.3. Who is here is told by RCPT, to whoever hands mail over. */
import { SyntaxFault } from '../../base/errors.ts'
import type { Command } from '../command.ts'
import { Refusal } from '../replies.ts'

export const vrfy: Command = {
  keyword: 'VRFY',
  async run(_session, argument) {
    if (argument === '') throw new SyntaxFault('VRFY takes a user or an address', 'argument')
    return { code: 252, status: '2.5.0', text: 'RCPT tells whether mail is taken for it' }
  },
}

export const expn: Command = {
  keyword: 'EXPN',
  run: async () => {
    throw new Refusal(502, '5.5.1', 'there are no lists here')
  },
}
