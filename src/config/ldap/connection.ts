/**
 * One connection to an LDAP server, bound as Wherry. The sockets are made here and given to ldapts ready to use: one that is gone is never replaced behind our
 * back by one that is neither bound nor protected.
 */
import { once } from 'node:events'
import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { Client, ExtendedRequest, type MessageResponse, StatusCodeParser } from 'ldapts'
import { readAuthorities, readCertificate } from '../certificate-files.ts'
import { cipherList } from '../configured-ciphers.ts'
import type { DirectoryConnection, DirectoryServer } from './connection-settings.ts'
import { roundTrip } from './round-trip.ts'
import { bindInSteps } from './sasl-bind.ts'

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
  settings: Pick<DirectoryConnection, 'tls' | 'bind' | 'timeoutMs'>,
  bound: 'as-wherry' | 'as-nobody',
): Promise<LdapConnection> => {
  const { tls, bind, timeoutMs } = settings
  const options = server.secure || tls.start ? await tlsOptions(server, tls) : {}
  const signal = AbortSignal.timeout(timeoutMs)
  let socket: Socket = server.secure
    ? connectTls({ ...options, host: server.host, port: server.port })
    : server.path === undefined
      ? connectPlain(server.port, server.host)
      : connectPlain(server.path)
  socket.setNoDelay(true)
  forgiving(socket)
  try {
    await ready(socket, server.secure ? 'secureConnect' : 'connect', signal)
    if (tls.start && !server.secure) socket = await startTls(socket, options, signal)
    if (bound === 'as-wherry' && (bind.method === 'DIGEST-MD5' || bind.method === 'CRAM-MD5'))
      await bindInSteps(socket, bind, server.host || 'localhost', signal)
  } catch (error) {
    socket.destroy()
    throw error
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
    if (bound === 'as-wherry') {
      if (bind.method === 'SIMPLE') await client.bind(bind.dn, bind.password)
      // RFC 4616: no authzid, the name, the password.
      else if (bind.method === 'PLAIN') await client.bindSASL('PLAIN', `\0${bind.id}\0${bind.password}`)
      else if (bind.method === 'EXTERNAL') await client.bindSASL('EXTERNAL', bind.id ?? '')
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

/** Between two uses nobody listens; that the connection closed is seen at the next one. */
const forgiving = (socket: Socket) => void socket.on('error', () => undefined)

const ready = async (socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> => {
  try {
    await once(socket, event, { signal })
  } catch (error) {
    throw signal.aborted ? new Error('no connection within the time limit') : error
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
const startTls = async (socket: Socket, options: ConnectionOptions, signal: AbortSignal): Promise<Socket> => {
  const request = new ExtendedRequest({ messageId: 1, oid: '1.3.6.1.4.1.1466.20037' })
  const response: MessageResponse = await roundTrip(socket, request, signal)
  if (response.status !== 0) throw StatusCodeParser.parse(response)
  const secured = connectTls({ ...options, socket })
  forgiving(secured)
  secured.once('close', () => socket.destroy())
  try {
    await ready(secured, 'secureConnect', signal)
  } catch (error) {
    secured.destroy()
    throw error
  }
  return secured
}

/** Read at each connection, so that a renewed certificate counts. Rejects with OptionFault. TLS-08 */
const tlsOptions = async (
  { host, secure }: DirectoryServer,
  { verify, verifyStarted, ciphers, caFile, certFile, keyFile, keyPassword }: DirectoryConnection['tls'],
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
    ciphers: list.ciphers,
    maxVersion: list.maxVersion,
    ...(caFile !== undefined && { ca: await readAuthorities('ldapdb_ca_cert', caFile) }),
    ...(certFile !== undefined && (await readCertificate({ ...files, options }))),
  } as ConnectionOptions
}
