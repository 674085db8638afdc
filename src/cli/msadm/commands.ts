/** Every subcommand of msadm. */
import type { Command } from './command.ts'
import { acl } from './commands/acl.ts'
import { add } from './commands/add.ts'
import { certificate } from './commands/certificate.ts'
import { del } from './commands/del.ts'
import { deliver } from './commands/deliver.ts'
import { du } from './commands/du.ts'
import { dump } from './commands/dump.ts'
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
  dump,
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
