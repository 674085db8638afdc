/** Lists that are kept elsewhere, such as address books. RFC 6134 */

import type { Extension } from '../language.ts'

export const extlists: Extension = {
  capability: 'extlists',
  matchTypes: [
    {
      name: 'list',
      matcher: (list) => ({
        matches: async (value, _, run) => {
          run.spend(100)
          const isIn = (await run.environment.listContains?.(list, value)) === true
          // As if the value were the pattern `*`. §2.4
          if (isIn) run.matched([value, value])
          return isIn
        },
      }),
    },
  ],
  tests: [
    {
      name: 'valid_ext_list',
      positional: [{ name: 'ext-list-names', type: 'string-list' }],
      compile(given) {
        const names = given.texts('ext-list-names')
        return async (run) => {
          for (const name of names.of(run)) if ((await run.environment.isList?.(name)) !== true) return false
          return true
        }
      },
    },
  ],
  tags: [
    {
      name: 'list',
      on: ['redirect'],
      decorate: (action) => (action.type === 'redirect' ? { ...action, list: action.address } : action),
    },
  ],
}
