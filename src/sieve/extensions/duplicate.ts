/** Whether a message was seen before. RFC 7352 */

import { type Extension, perRun } from '../language.ts'

/** One test twice in a run has one answer. §3 */
const answers = perRun(() => new Map<string, boolean>())

/** More is as much as this. RFC 7352 §3.3: the site says */
const longestSeconds = 365 * 86_400

export const duplicate: Extension = {
  capability: 'duplicate',
  tests: [
    {
      name: 'duplicate',
      tags: [
        { name: 'handle', value: 'string' },
        { name: 'header', value: 'string', excludes: ['uniqueid'] },
        { name: 'uniqueid', value: 'string' },
        { name: 'seconds', value: 'number' },
        { name: 'last' },
      ],
      compile(given) {
        const header = given.findText('header')
        const uniqueId = given.findText('uniqueid')
        const seconds = given.findNumber('seconds')
        const periodSeconds = seconds === undefined ? undefined : Math.min(seconds, longestSeconds)
        const last = given.has('last')
        return async (run) => {
          const handle = given.findText('handle')?.of(run) ?? ''
          const id =
            uniqueId?.of(run) ?? run.message.fieldsNamed(header?.of(run) ?? 'message-id')[0]?.value.trim() ?? ''
          if (id === '') return false
          const key = JSON.stringify([handle, id])
          const known = answers(run).get(key)
          if (known !== undefined) return known
          const isDuplicate = (await run.environment.isDuplicate?.(handle, id, last)) ?? false
          answers(run).set(key, isDuplicate)
          if (!isDuplicate || last) run.act({ type: 'remember-duplicate', handle, id, periodSeconds }, given.position)
          return isDuplicate
        }
      },
    },
  ],
}
