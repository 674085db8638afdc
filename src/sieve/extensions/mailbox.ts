/** Whether mailboxes are there, and making them. RFC 5490 §3.1 and §3.2 */

import type { Extension } from '../language.ts'

export const mailbox: Extension = {
  capability: 'mailbox',
  tests: [
    {
      name: 'mailboxexists',
      positional: [{ name: 'mailbox-names', type: 'string-list' }],
      compile(given) {
        const names = given.texts('mailbox-names')
        return async (run) => {
          for (const name of names.of(run)) {
            run.spend(100)
            if ((await run.environment.mailboxExists?.(name)) !== true) return false
          }
          return true
        }
      },
    },
  ],
  tags: [
    {
      name: 'create',
      on: ['fileinto'],
      decorate: (action) => (action.type === 'fileinto' ? { ...action, create: true } : action),
    },
  ],
}
