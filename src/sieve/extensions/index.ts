/** Every extension that there is. Each file has its own; a new one gets a line here. */

import type { Extension } from '../language.ts'
import { body } from './body.ts'
import { copy } from './copy.ts'
import { core, encodedCharacter, envelope, fileinto } from './core.ts'
import { date } from './date.ts'
import { duplicate } from './duplicate.ts'
import { editheader } from './editheader.ts'
import { enotify } from './enotify.ts'
import { environment } from './environment.ts'
import { extlists } from './extlists.ts'
import { fcc } from './fcc.ts'
import { ihave } from './ihave.ts'
import { imap4flags } from './imap4flags.ts'
import { include } from './include.ts'
import { index } from './index-extension.ts'
import { mailbox } from './mailbox.ts'
import { mboxMetadata, serverMetadata } from './metadata.ts'
import { regex } from './regex.ts'
import { ereject, reject } from './reject.ts'
import { comparatorAsciiNumeric, relational } from './relational.ts'
import { spamtestExtension, spamtestplus, virustestExtension } from './spamtest.ts'
import { specialUse } from './special-use.ts'
import { subaddress } from './subaddress.ts'
import { comparatorUnicodeCasemap } from './unicode-casemap.ts'
import { vacation, vacationSeconds } from './vacation.ts'
import { variables } from './variables.ts'

export const extensions: readonly Extension[] = [
  core,
  encodedCharacter,
  envelope,
  fileinto,
  comparatorAsciiNumeric,
  comparatorUnicodeCasemap,
  variables,
  relational,
  copy,
  subaddress,
  imap4flags,
  date,
  index,
  ihave,
  include,
  regex,
  environment,
  body,
  editheader,
  spamtestExtension,
  spamtestplus,
  virustestExtension,
  reject,
  ereject,
  vacation,
  vacationSeconds,
  enotify,
  duplicate,
  mailbox,
  mboxMetadata,
  serverMetadata,
  specialUse,
  fcc,
  extlists,
]
