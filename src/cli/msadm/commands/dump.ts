import { systemClock } from '../../../base/clock.ts'
import { silentLog } from '../../../base/log.ts'
import { openTrack } from '../../../server/delivery.ts'
import { type Command, canonical, onlyUserId, readArguments, UsageError } from '../command.ts'

export const dump: Command = {
  name: 'dump',
  usage: 'dump vacation userid',
  summary: "tells whom a user's Sieve script has answered that he is away, and when",
  words: ['vacation'],
  details: `Whoever is named here is not answered again until the period of the script (:days, :seconds; 7 days) is over: he goes from the list then. It is kept in msgtrack_db.

Example
  msadm dump vacation joe@example.org`,
  run: async (args, context) => {
    const [what, ...rest] = readArguments(args, {}).positionals
    if (what !== 'vacation')
      throw new UsageError('vacation is what can be dumped, for example: dump vacation joe@example.org')
    const userId = canonical(onlyUserId(rest), context)
    const track = openTrack({ config: () => context.config, clock: systemClock, log: silentLog })
    try {
      let count = 0
      for await (const { at, text } of track.list('vacation', userId)) {
        count += 1
        const time = new Date(at * 1_000).toISOString()
        context.print(`${time} ${text}`, { userId, address: text, at: time })
      }
      if (count === 0) context.print(`nobody was answered for ${userId}`, { userId, answered: 0 })
    } finally {
      await track.close()
    }
  },
}
