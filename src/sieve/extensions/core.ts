/** What every script may use without asking. RFC 5228 */

import type { Extension } from '../language.ts'

export const core: Extension = { capability: undefined }
