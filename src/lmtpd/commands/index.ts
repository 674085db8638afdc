/** Every command that lmtpd has; the reply to LHLO is computed from the rows. */
import type { Command } from '../command.ts'
import { auth } from './auth.ts'
import { bdat } from './bdat.ts'
import { data } from './data.ts'
import { ehlo, helo } from './helo.ts'
import { help } from './help.ts'
import { lhlo } from './lhlo.ts'
import { mail } from './mail.ts'
import { noop } from './noop.ts'
import { quit } from './quit.ts'
import { rcpt } from './rcpt.ts'
import { rset } from './rset.ts'
import { starttls } from './starttls.ts'
import { expn, vrfy } from './vrfy.ts'
import { xforward } from './xforward.ts'

const rows = [lhlo, helo, ehlo, starttls, auth, xforward, mail, rcpt, data, bdat, rset, noop, vrfy, expn, help, quit]

export const commands: ReadonlyMap<string, Command> = new Map(rows.map((row) => [row.keyword, row]))
