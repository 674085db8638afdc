import { type Backend, usualPorts } from '#src/config/backends.ts'

/**
 * Names a maildrop in origins and logs: `pop://user@host/` (RFC 2384). The usual ports are left out, so that moving a
 * backend from POP to POPS does not make its mail new.
 */
export const backendUrl = ({ host, port, user }: Pick<Backend, 'host' | 'port' | 'user'>): string => {
  const usual = port === usualPorts.pop || port === usualPorts.pops
  return `pop://${encodeURIComponent(user)}@${host.toLowerCase()}${usual ? '' : `:${port}`}/`
}
