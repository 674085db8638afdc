/** Letters of all scripts without case. RFC 5051 */

import { unicode } from '../comparators.ts'
import type { Extension } from '../language.ts'

export const comparatorUnicodeCasemap: Extension = {
  capability: 'comparator-i;unicode-casemap',
  comparators: [unicode],
}
