/** Every command there is, by its word. RFC 5804 §2 */
import type { Command } from '../command.ts'
import { authenticate } from './authenticate.ts'
import { capability } from './capability.ts'
import { checkscript } from './checkscript.ts'
import { deletescript } from './deletescript.ts'
import { getscript } from './getscript.ts'
import { havespace } from './havespace.ts'
import { listscripts } from './listscripts.ts'
import { logout } from './logout.ts'
import { noop } from './noop.ts'
import { putscript } from './putscript.ts'
import { renamescript } from './renamescript.ts'
import { setactive } from './setactive.ts'
import { starttls } from './starttls.ts'
import { unauthenticate } from './unauthenticate.ts'

const rows: readonly Command[] = [
  authenticate,
  capability,
  checkscript,
  deletescript,
  getscript,
  havespace,
  listscripts,
  logout,
  noop,
  putscript,
  renamescript,
  setactive,
  starttls,
  unauthenticate,
]

export const commands: ReadonlyMap<string, Command> = new Map(rows.map((row) => [row.word, row]))
