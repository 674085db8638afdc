/** QUIT. RFC 1939 §4, §6: after a login the UPDATE state. +OK is said when the removal is durable, and only then. */
import { StoreError } from '../../base/errors.ts'
import type { Command } from '../command.ts'
import { Refusal } from '../replies.ts'

export const quit: Command = {
  keyword: 'QUIT',
  states: ['authorization', 'transaction'],
  async run(session) {
    session.end()
    if (session.state === 'authorization') return 'goodbye'
    const { maildrop, log } = session
    try {
      const removed = await maildrop.update()
      log.log('info', 'quit', { removed })
      return removed === 0 ? 'goodbye' : `goodbye, ${removed} messages removed`
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      log.log('err', 'deleted messages could not be removed', { cause: error.message })
      throw new Refusal('deleted messages not removed, they are all still there', 'SYS/TEMP')
    }
  },
}
