/** Every extension that there is. Each file has its own; a new one gets a line here. */

import type { Extension } from '../language.ts'
import { core, envelope, fileinto } from './core.ts'
import { duplicate } from './duplicate.ts'
import { enotify } from './enotify.ts'
import { extlists } from './extlists.ts'
import { fcc } from './fcc.ts'
import { mailbox } from './mailbox.ts'
import { mboxMetadata, serverMetadata } from './metadata.ts'
import { ereject, reject } from './reject.ts'
import { specialUse } from './special-use.ts'
import { vacation, vacationSeconds } from './vacation.ts'

export const extensions: readonly Extension[] = [
  core,
  envelope,
  fileinto,
  duplicate,
  enotify,
  extlists,
  fcc,
  mailbox,
  mboxMetadata,
  serverMetadata,
  reject,
  ereject,
  specialUse,
  vacation,
  vacationSeconds,
]
