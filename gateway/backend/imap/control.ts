/**
 * imapflow on a connection that is logged in already: it is told that it was let in without a login (PREAUTH), so connection, protection and
 * credentials stay in one place (`open.ts`), and it never learns a secret.
 */
import { ImapFlow } from 'imapflow'
import type { Log } from '#src/base/log.ts'
import { BackendError } from '../errors.ts'
import { printable } from '../reply-classifier.ts'
import { defaultLimits, type Limits } from '../types.ts'
import type { ImapLogin } from './open.ts'

export type { ExpungeEvent, ImapFlow, ListResponse } from 'imapflow'

/** A message body never comes this way, only what describes mailboxes and messages. */
const literalOctets = 4 * 1_048_576

/** Takes the login's connection over. Throws BackendError. The caller ends it with `logout` or `close`. */
export async function controlOf(
  { connection, capabilities }: ImapLogin,
  log: Log,
  limits: Limits = defaultLimits,
): Promise<ImapFlow> {
  const socket = connection.detach()
  socket.unshift(Buffer.from(`* PREAUTH [CAPABILITY ${[...capabilities].join(' ')}] logged in\r\n`, 'latin1'))
  const client = new ImapFlow({
    host: connection.address.host,
    port: connection.address.port,
    secure: connection.address.implicitTls,
    doSTARTTLS: false,
    logger: false,
    qresync: true,
    // Octets are counted before they are unpacked: a small reply could become a large one.
    disableCompression: true,
    socketTimeout: limits.progressMs,
    maxLiteralSize: literalOctets,
    transport: {
      connect: (_options, onConnect) => {
        setImmediate(onConnect)
        return socket
      },
    },
  })
  quoteTildes(client as unknown as Inner)
  // Without a listener a lost connection would end the process.
  client.on('error', (error: Error) =>
    log.log('info', 'an IMAP session with the backend broke', { reason: printable(error.message) }),
  )
  try {
    await client.connect()
    return client
  } catch (error) {
    client.close()
    throw new BackendError('closed', 'the backend ended the session behind the login', { cause: error })
  }
}

/** A string goes out in quotes. */
type Attribute = string | { readonly type?: string; readonly value?: unknown }

/** What imapflow's commands go by. */
interface Inner {
  exec(
    command: string,
    attributes: readonly (Attribute | readonly Attribute[])[] | false | undefined,
    options: unknown,
  ): unknown
}

/** Courier knows a mailbox with a tilde in its name only by the quoted string, and imapflow sends an atom. */
function quoteTildes(client: Inner): void {
  const exec = client.exec.bind(client)
  const quoted = (attribute: Attribute | readonly Attribute[]) =>
    typeof attribute === 'object' &&
    'type' in attribute &&
    attribute.type === 'ATOM' &&
    String(attribute.value).includes('~')
      ? { ...attribute, type: 'STRING' }
      : attribute
  client.exec = (command, attributes, options) =>
    exec(command, attributes ? attributes.map(quoted) : attributes, options)
}
