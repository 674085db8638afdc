/** Whom the Unix socket belongs to, so that the mail server's LMTP client may connect: `lmtp_socket_owner` */
import { type Config, findingAt } from '../config/config.ts'
import { ConfigError } from '../config/finding.ts'
import type { SocketOwner } from '../server/listener.ts'
import { findGroup, findUser } from '../server/ms-user.ts'

/** Throws ConfigError for a user or a group that is not there. */
export function socketOwnerOf(config: Config): SocketOwner | undefined {
  const named = config.get('lmtp_socket_owner')
  if (named === undefined) return undefined
  const user = findUser(named.user)
  if (user === undefined) throw missing(config, `there is no user ${named.user} on this system`)
  const gid = named.group === undefined ? user.gid : findGroup(named.group)
  if (gid === undefined) throw missing(config, `there is no group ${named.group} on this system`)
  return { uid: user.uid, gid }
}

const missing = (config: Config, text: string) =>
  new ConfigError([findingAt(config, 'error', 'lmtp_socket_owner', text)])
