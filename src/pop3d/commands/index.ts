/** Every command that pop3d has; CAPA is computed from the rows. */
import type { Command } from '../command.ts'
import { auth } from './auth.ts'
import { capa } from './capa.ts'
import { dele } from './dele.ts'
import { list } from './list.ts'
import { noop } from './noop.ts'
import { pass } from './pass.ts'
import { quit } from './quit.ts'
import { retr } from './retr.ts'
import { rset } from './rset.ts'
import { stat } from './stat.ts'
import { stls } from './stls.ts'
import { top } from './top.ts'
import { uidl } from './uidl.ts'
import { user } from './user.ts'

const rows = [user, pass, auth, stls, capa, stat, list, retr, dele, noop, rset, top, uidl, quit]

export const commands: ReadonlyMap<string, Command> = new Map(rows.map((row) => [row.keyword, row]))
