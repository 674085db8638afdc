/** Every subcommand of msadm. */
import type { Command } from './command.ts'
import { add } from './commands/add.ts'
import { del } from './commands/del.ts'
import { deliver } from './commands/deliver.ts'
import { list } from './commands/list.ts'
import { move } from './commands/move.ts'
import { oauth } from './commands/oauth.ts'
import { passwd } from './commands/passwd.ts'
import { path } from './commands/path.ts'
import { undelete } from './commands/undelete.ts'
import { verify } from './commands/verify.ts'

export const commands: readonly Command[] = [add, del, deliver, list, move, oauth, passwd, path, undelete, verify]

/** Subcommands of the manual that this version does not have; help does not show them. */
export const pending: readonly string[] = ['acl', 'du', 'dump', 'expire_mail', 'migrate', 'quota', 'ren', 'service']
