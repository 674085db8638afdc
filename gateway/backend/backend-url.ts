import type { Backend } from '#src/config/backends.ts'

const usual: Readonly<Record<'pop' | 'imap', readonly number[]>> = { pop: [110, 995], imap: [143, 993] }

/**
 * Names a maildrop, or an account at an IMAP server, in origins and logs: `pop://user@host/` (RFC 2384), `imap://user@host/` (RFC 5092). The usual ports are left out, so that moving a
 * backend from POP to POPS does not make its mail new; a user name without a domain gets the account's, so that it is
 * the same maildrop whether the user logs in as `joe` or as `joe@example.org`.
 * The case of the name stays, as it does in user ids (docs/decisions/0070-canonical-user-ids.md); that of the domain goes.
 */
export const backendUrl = (
  { protocol, host, port, user }: Pick<Backend, 'protocol' | 'host' | 'port' | 'user'>,
  userId: string,
): string => {
  const scheme = protocol === 'pop' || protocol === 'pops' ? 'pop' : 'imap'
  const at = user.lastIndexOf('@')
  const name = at < 0 ? user + userId.slice(userId.lastIndexOf('@')) : user.slice(0, at) + user.slice(at).toLowerCase()
  const place = usual[scheme].includes(port) ? host : `${host}:${port}`
  return `${scheme}://${encodeURIComponent(name)}@${place.toLowerCase()}/`
}
