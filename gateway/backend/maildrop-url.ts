import type { Backend } from '#src/config/backends.ts'

/**
 * Names a maildrop in origins and logs: `pop://user@host/` (RFC 2384). The usual ports are left out, so that moving a
 * backend from POP to POPS does not make its mail new; a user name without a domain gets the account's, so that it is
 * the same maildrop whether the user logs in as `joe` or as `joe@example.org`.
 * The case of the name stays, as it does in user ids (docs/decisions/0070-canonical-user-ids.md); that of the domain goes.
 */
export const maildropUrl = ({ host, port, user }: Pick<Backend, 'host' | 'port' | 'user'>, userId: string): string => {
  const at = user.lastIndexOf('@')
  const name = at < 0 ? user + userId.slice(userId.lastIndexOf('@')) : user.slice(0, at) + user.slice(at).toLowerCase()
  const place = port === 110 || port === 995 ? host : `${host}:${port}`
  return `pop://${encodeURIComponent(name)}@${place.toLowerCase()}/`
}
