/** Scripts that make do with what there is. RFC 5463; what it changes about unknown names is in `compiler.ts`. */

import type { Extension } from '../language.ts'
import { shown } from '../text.ts'

export const ihave: Extension = {
  capability: 'ihave',
  tests: [
    {
      name: 'ihave',
      positional: [{ name: 'capabilities', type: 'string-list', constant: true }],
      compile(given, context) {
        const names = given.texts('capabilities').constant ?? []
        const isThere = names.every((name) => {
          if (context.has(name)) return true
          const extension = context.extension(name)
          return extension !== undefined && extension.changesGrammar !== true
        })
        return (run) => {
          if (isThere) run.enable(names)
          return isThere
        }
      },
    },
  ],
  commands: [
    {
      name: 'error',
      positional: [{ name: 'message', type: 'string' }],
      compile(given) {
        const message = given.text('message')
        return (run) => run.fail(given.position, shown(message.of(run)))
      },
    },
  ],
}
