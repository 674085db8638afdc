/** Every extension that there is. Each file has its own; a new one gets a line here. */

import type { Extension } from '../language.ts'
import { core, envelope, fileinto } from './core.ts'

export const extensions: readonly Extension[] = [core, envelope, fileinto]
