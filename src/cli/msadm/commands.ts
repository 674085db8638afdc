/** Every subcommand of msadm. */
import type { Command } from './command.ts'
import { acl } from './commands/acl.ts'
import { add } from './commands/add.ts'
import { certificate } from './commands/certificate.ts'
import { del } from './commands/del.ts'
import { deliver } from './commands/deliver.ts'
import { du } from './commands/du.ts'
import { expireMail } from './commands/expire-mail.ts'
import { list } from './commands/list.ts'
import { migrate } from './commands/migrate.ts'
import { move } from './commands/move.ts'
import { oauth } from './commands/oauth.ts'
import { passwd } from './commands/passwd.ts'
import { path } from './commands/path.ts'
import { queue } from './commands/queue.ts'
import { quota } from './commands/quota.ts'
import { ren } from './commands/ren.ts'
import { rollback } from './commands/rollback.ts'
import { service } from './commands/service.ts'
import { sieve } from './commands/sieve.ts'
import { undelete } from './commands/undelete.ts'
import { verify } from './commands/verify.ts'
import { verifyMigration } from './commands/verify-migration.ts'
import { wave } from './commands/wave.ts'

export const commands: readonly Command[] = [
  acl,
  add,
  certificate,
  del,
  deliver,
  du,
  expireMail,
  list,
  migrate,
  move,
  oauth,
  passwd,
  path,
  queue,
  quota,
  ren,
  rollback,
  service,
  sieve,
  undelete,
  verify,
  verifyMigration,
  wave,
]

/** Subcommands of the manual that this version does not have, and why; help does not show them. */
export const pending: ReadonlyMap<string, string> = new Map([
  ['dump', 'not in this version: it tells whom Sieve sent vacation replies, and without Sieve nobody was sent any'],
])
