/** Where and for whom the script is run. RFC 5183 */

import type { Extension } from '../language.ts'

export const environment: Extension = {
  capability: 'environment',
  tests: [
    {
      name: 'environment',
      positional: [
        { name: 'name', type: 'string' },
        { name: 'keys', type: 'string-list' },
      ],
      matches: true,
      compile(given) {
        const name = given.text('name')
        const { matching } = given
        return (run) => {
          const { items } = run.environment
          const key = name.of(run).toLowerCase()
          const value = items !== undefined && Object.hasOwn(items, key) ? items[key] : undefined
          // An item that there is not matches nothing, not even that there are none of it.
          if (value === undefined) return false
          return matching.any(matching.counts && value === '' ? [] : [value], run)
        }
      },
    },
  ],
}
