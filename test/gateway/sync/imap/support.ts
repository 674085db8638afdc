import type { ImapFlow } from 'imapflow'
import { silentLog } from '#src/base/log.ts'
import { controlOf } from '../../../../gateway/backend/imap/control.ts'
import { openImap } from '../../../../gateway/backend/imap/open.ts'
import { BackendProfile } from '../../../../gateway/backend/profile.ts'
import type { Dovecot } from '../../../support/dovecot.ts'

/** A session of a user (anna) whose password is 'secret'. `without`: capabilities that the server does not tell. */
export async function clientOf(
  dovecot: Pick<Dovecot, 'imapPort'>,
  { user = 'anna', without = [] }: { readonly user?: string; readonly without?: readonly string[] } = {},
): Promise<ImapFlow> {
  const login = await openImap({
    host: '127.0.0.1',
    port: dovecot.imapPort,
    implicitTls: false,
    startTls: 'never',
    tlsVerify: false,
    credentials: { user, secret: Buffer.from('secret') },
    profile: new BackendProfile(),
    log: silentLog,
  })
  const capabilities = new Set([...login.capabilities].filter((name) => !without.includes(name)))
  return await controlOf({ ...login, capabilities }, silentLog)
}
