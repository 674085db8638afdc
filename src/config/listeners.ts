/** Where a service listens: the pairs of `<service>_host` and `<service>_port`. CAN-06 */
import { join } from 'node:path'
import type { Config } from './config.ts'

/** Those with options `<service>_host` and `<service>_port`. */
export const listenerServices = ['imap', 'imaps', 'pop3', 'pop3s', 'lmtp', 'sieve', 'msevent', 'mlogd'] as const
export type ListenerService = (typeof listenerServices)[number]

export type Listener =
  /** TCP; an empty host is every interface (CAN-07), port 0 any free one. */
  | { readonly host: string; readonly port: number }
  /** A Unix socket. */
  | { readonly path: string }

/**
 * The n-th host goes with the n-th port; one port serves all hosts, one host all ports.
 * Throws RangeError when the numbers don't fit; a loaded configuration was checked.
 */
export const listenersOf = (config: Config, service: ListenerService): readonly Listener[] => {
  const hosts = hostsOf(config, service)
  const ports: readonly number[] = config.all(`${service}_port`)
  const count = Math.max(hosts.length, ports.length)
  if ((hosts.length !== 1 && hosts.length !== count) || (ports.length !== 1 && ports.length !== count))
    throw new RangeError(
      `${service}_host is given ${hosts.length} times and ${service}_port ${ports.length} times; give one port for each host, or a single port`,
    )
  return Array.from({ length: count }, (_, index) => {
    const host = hosts[index] ?? hosts[0] ?? ''
    return host.startsWith('/') ? { path: host } : { host, port: ports[index] ?? ports[0] ?? 0 }
  })
}

/** The socket of lmtpd lies where its pid file can be written, unless it was told a place. LMTP-01 */
const hostsOf = (config: Config, service: ListenerService): readonly string[] =>
  service === 'lmtp' && !config.isSet('lmtp_host')
    ? [join(config.get('run_dir'), 'lmtp')]
    : config.all(`${service}_host`)
