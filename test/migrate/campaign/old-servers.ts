/** The old servers of the campaign behind one face. */
import { startCourier } from '../../support/courier.ts'
import { startCyrus } from '../../support/cyrus.ts'
import { startDovecot } from '../../support/dovecot.ts'

export interface OldServer extends AsyncDisposable {
  readonly imapPort: number
  readonly pop3Port: number
  stop(): Promise<void>
}

type Users = Readonly<Record<string, string>>

/** As Debian configures them: Cyrus and Courier have all mailboxes below INBOX, and '.' between levels. */
export const oldServers = {
  dovecot: (users: Users): Promise<OldServer> => startDovecot({ users, extra: 'mail_max_keyword_length = 100' }),
  cyrus: (users: Users): Promise<OldServer> => startCyrus({ users }),
  courier: (users: Users): Promise<OldServer> => startCourier({ users }),
}

export type OldServerName = keyof typeof oldServers
