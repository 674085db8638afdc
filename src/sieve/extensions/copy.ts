/** `:copy`: an action that leaves the implicit keep alone. RFC 3894 */

import type { Extension } from '../language.ts'

export const copy: Extension = {
  capability: 'copy',
  tags: [
    {
      name: 'copy',
      on: ['fileinto', 'redirect'],
      decorate: (action) =>
        action.type === 'fileinto' || action.type === 'redirect' ? { ...action, copy: true } : action,
    },
  ],
}
