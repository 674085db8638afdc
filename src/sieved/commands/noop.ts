/** NOOP [tag]. RFC 5804 §2.13 */
import type { Command } from '../command.ts'

export const noop: Command = {
  word: 'NOOP',
  states: ['stranger', 'user'],
  async run(_session, args) {
    const tag = args.isAtEnd ? undefined : args.string('a tag')
    args.end()
    return { text: 'nothing done', ...(tag === undefined ? {} : { code: { tag } }) }
  },
}
