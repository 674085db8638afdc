import type { UserId } from '../../../base/ids.ts'
import { type Command, canonical, onlyUserId, readArguments } from '../command.ts'

export const path: Command = {
  name: 'path',
  usage: 'path [-e] userid',
  summary: "prints the directory of a user's mail, or where it would be",
  details: '  -e           takes the userid exactly as it is',
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, { e: { type: 'boolean', short: 'e' } })
    const given = onlyUserId(positionals)
    const userId = values.e ? (given as UserId) : canonical(given, context)
    const { path, root, exists } = await context.store().account(userId).locate()
    context.print(path, { userId, path, root, exists })
  },
}
