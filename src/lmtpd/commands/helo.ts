/** HELO and EHLO are not there, so that a client that takes this for SMTP finds out. RFC 2033 §4.1 */
import type { Command } from '../command.ts'
import { Refusal } from '../replies.ts'

const smtp = (keyword: string): Command => ({
  keyword,
  run: async () => {
    throw new Refusal(500, '5.5.1', 'this is LMTP, not SMTP: say LHLO, or connect to another port')
  },
})

export const helo = smtp('HELO')
export const ehlo = smtp('EHLO')
