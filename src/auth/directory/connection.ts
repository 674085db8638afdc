/**
 * One connection to an LDAP server, bound as Wherry. The sockets are made here and given to ldapts ready to use: one that is gone is never replaced behind our
 * back by one that is neither bound nor protected.
 */
import { once } from 'node:events'
import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { Client } from 'ldapts'
import { cipherList, readAuthorities, readCertificate } from '../../config/certificate-files.ts'
import type { DirectoryServer, DirectorySettings } from '../../config/directory.ts'

export interface LdapConnection {
  readonly server: DirectoryServer
  readonly client: Client
  readonly isAlive: boolean
  /** Operations that wait for an answer fail. */
  close(): void
}

/** Rejects with what the network, TLS or the server said; within the time limit twice over. */
export const connectTo = async (
  server: DirectoryServer,
  settings: DirectorySettings,
  bound: 'as-wherry' | 'as-nobody',
): Promise<LdapConnection> => {
  const { tls, bind, timeoutMs } = settings
  const options = server.secure || tls.start ? await tlsOptions(server, tls) : {}
  const signal = AbortSignal.timeout(timeoutMs)
  const socket = server.secure
    ? connectTls({ ...options, host: server.host, port: server.port })
    : server.path === undefined
      ? connectPlain(server.port, server.host)
      : connectPlain(server.path)
  socket.setNoDelay(true)
  try {
    await once(socket, server.secure ? 'secureConnect' : 'connect', { signal })
  } catch (error) {
    socket.destroy()
    throw signal.aborted ? new Error('no connection within the time limit') : error
  }
  const client = new Client({ url: 'ldap://connected', timeout: timeoutMs, createConnection: only(socket) })
  let alive = true
  socket.once('close', () => {
    alive = false
  })
  const close = () => {
    alive = false
    socket.destroy()
  }
  try {
    if (tls.start && !server.secure) await startTls(client, socket, options, signal)
    if (bound === 'as-wherry') {
      if (bind.method === 'SIMPLE') await client.bind(bind.dn, bind.password)
      // RFC 4616: no authzid, the name, the password.
      else if (bind.method === 'PLAIN') await client.bindSASL('PLAIN', `\0${bind.id}\0${bind.password}`)
      else await client.bindSASL('EXTERNAL', bind.id ?? '')
    }
  } catch (error) {
    close()
    throw error
  }
  return {
    server,
    client,
    get isAlive() {
      return alive
    },
    close,
  }
}

/** ldapts asks for a connection again when the first is gone. */
const only = (socket: Socket): typeof connectPlain => {
  let given = false
  return (() => {
    if (given) throw new Error('the connection to the directory is gone')
    given = true
    return socket
  }) as typeof connectPlain
}

/** RFC 4511 §4.14. A server that refuses or hangs ends the connection: what was to be protected is not sent in clear. */
const startTls = async (client: Client, socket: Socket, options: ConnectionOptions, signal: AbortSignal) => {
  const cut = () => socket.destroy(new Error('no TLS within the time limit'))
  signal.addEventListener('abort', cut, { once: true })
  const cutOff = Promise.withResolvers<never>()
  socket.once('close', () => cutOff.reject(new Error('the server closed the connection instead of beginning TLS')))
  // Whoever is first; the other's failure is no news.
  cutOff.promise.catch(() => undefined)
  try {
    await Promise.race([client.startTLS(options), cutOff.promise])
  } finally {
    signal.removeEventListener('abort', cut)
  }
}

/** Read at each connection, so that a renewed certificate counts. Rejects with OptionFault. TLS-08 */
const tlsOptions = async (
  { host, secure }: DirectoryServer,
  { verify, verifyStarted, ciphers, caFile, certFile, keyFile, keyPassword }: DirectorySettings['tls'],
): Promise<ConnectionOptions> => {
  const list = cipherList('sasl/tls_cipher_list', ciphers)
  const files = { certFile: certFile ?? '', keyFile, password: keyPassword }
  const options = {
    cert: 'ldapdb_client_cert',
    key: 'ldapdb_client_key',
    password: 'ldapdb_client_key_passwd',
  } as const
  return {
    host,
    ...(isIP(host) === 0 && { servername: host }),
    rejectUnauthorized: secure ? verify : verifyStarted,
    ...(list !== undefined && { ciphers: list }),
    ...(caFile !== undefined && { ca: await readAuthorities('ldapdb_ca_cert', caFile) }),
    ...(certFile !== undefined && (await readCertificate({ ...files, options }))),
  } as ConnectionOptions
}
