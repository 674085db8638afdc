/**
 * A private Cyrus IMAP server (IMAP and POP3) on free loopback ports, from packages that are unpacked, not installed (`unpacked.ts`). Everything it has
 * lies in one temporary directory that `stop` removes. Needs root.
 *
 *     await using cyrus = await startCyrus({ users: { anna: 'secret' }, altNamespace: true })
 *     await cyrus.fill('anna', [message])
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ImapFlow } from 'imapflow'
import { makeCertificate } from './certificate.ts'
import { freePorts } from './free-port.ts'
import { answers } from './listening.ts'
import { overlaid, withUser } from './unpacked.ts'

export interface CyrusOptions {
  /** Passwords by user name. */
  readonly users: Readonly<Record<string, string>>
  /** Mailboxes beside INBOX, not below it. Default: below it ('INBOX.a'), as in Debian's configuration. */
  readonly altNamespace?: boolean
  /** Default: '.', as in Debian's configuration. */
  readonly separator?: '/' | '.'
}

export interface Cyrus extends AsyncDisposable {
  readonly imapPort: number
  readonly imapsPort: number
  readonly pop3Port: number
  readonly pop3sPort: number
  /** PEM file of the certificate, to be trusted by clients. */
  readonly certificateFile: string
  /** Appends messages to a user's INBOX, in this order. Cyrus takes no NUL and no bare LF: throws its answer. */
  fill(user: string, messages: Iterable<Buffer>): Promise<void>
  /** Ends all its processes and removes the directory. */
  stop(): Promise<void>
}

/** Throws with what Cyrus said when it does not come up. */
export async function startCyrus({ users, altNamespace = false, separator = '.' }: CyrusOptions): Promise<Cyrus> {
  const dir = await mkdtemp(join(tmpdir(), 'cyrus-'))
  await chmod(dir, 0o755)
  const etc = join(dir, 'etc')
  await mkdir(etc)
  const certificateFile = join(dir, 'certificate.pem')
  makeCertificate(certificateFile, join(dir, 'key.pem'))
  const [imapPort, imapsPort, pop3Port, pop3sPort] = await freePorts(5)
  withUser(etc, 'cyrus', 5501)
  await writeFile(join(etc, 'imapd.conf'), imapdConf(dir, altNamespace, separator))
  await writeFile(join(etc, 'cyrus.conf'), cyrusConf({ imapPort, imapsPort, pop3Port, pop3sPort }))
  let passwords = ''
  for (const [user, password] of Object.entries(users)) {
    if (/[\s\\]/.test(user + password)) throw new Error('this list of passwords holds no such name or password')
    passwords += `${user} ${password}\n`
  }
  await writeFile(join(dir, 'passwords'), passwords, { mode: 0o600 })

  const [command, ...prefix] = overlaid('cyrus', etc)
  const server = spawn(command, [...prefix, 'sh', '-e', '-c', startScript, 'sh', dir], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let complaint = ''
  server.stderr.on('data', (chunk) => {
    complaint += chunk
  })
  const killWithUs = () => server.kill('SIGKILL')
  process.once('exit', killWithUs)
  const stop = async () => {
    process.off('exit', killWithUs)
    if (server.exitCode === null && server.kill('SIGKILL')) await once(server, 'exit')
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  }
  try {
    await Promise.all([imapPort, imapsPort, pop3Port, pop3sPort].map((port) => answers(port, server)))
  } catch (cause) {
    await stop()
    throw new Error(`Cyrus did not start: ${complaint}`, { cause })
  }
  return {
    imapPort,
    imapsPort,
    pop3Port,
    pop3sPort,
    certificateFile,
    fill: async (user, messages) => {
      const auth = { user, pass: users[user]! }
      const client = new ImapFlow({
        host: '127.0.0.1',
        port: imapPort,
        secure: false,
        doSTARTTLS: false,
        auth,
        logger: false,
      })
      await client.connect()
      for (const octets of messages) await client.append('INBOX', octets)
      await client.logout()
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** The servers' user is `cyrus`; master itself begins as root. Runs until it is killed. */
const startScript = `mkdir -p "$1/var" "$1/spool" "$1/sieve" /run/cyrus/proc /run/cyrus/lock /run/cyrus/socket
while read -r user password; do
  printf %s "$password" | /usr/sbin/saslpasswd2 -p -c -f "$1/sasldb2" -u localhost "$user"
done < "$1/passwords"
chown -R cyrus:cyrus "$1" /run/cyrus
exec /usr/lib/cyrus/bin/master`

/** A mailbox is made when a user who has none logs in. */
const imapdConf = (dir: string, altNamespace: boolean, separator: string): string => `configdirectory: ${dir}/var
defaultpartition: default
partition-default: ${dir}/spool
sievedir: ${dir}/sieve
proc_path: /run/cyrus/proc
mboxname_lockpath: /run/cyrus/lock
idlesocket: /run/cyrus/socket/idle
notifysocket: /run/cyrus/socket/notify
lmtpsocket: /run/cyrus/socket/lmtp
servername: localhost
cyrus_user: cyrus
cyrus_group: cyrus
altnamespace: ${altNamespace ? 'yes' : 'no'}
unixhierarchysep: ${separator === '/' ? 'yes' : 'no'}
autocreate_quota: 0
failedloginpause: 0s
allowplaintext: yes
munge8bit: no
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: ${dir}/sasldb2
sasl_mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256
tls_server_cert: ${dir}/certificate.pem
tls_server_key: ${dir}/key.pem
`

type Ports = Readonly<Record<'imapPort' | 'imapsPort' | 'pop3Port' | 'pop3sPort', number>>

const cyrusConf = ({ imapPort, imapsPort, pop3Port, pop3sPort }: Ports): string => `START {
  recover cmd="ctl_cyrusdb -r"
  idled cmd="idled"
}
SERVICES {
  imap cmd="imapd -U 30" listen="127.0.0.1:${imapPort}" prefork=0 maxchild=200
  imaps cmd="imapd -s -U 30" listen="127.0.0.1:${imapsPort}" prefork=0 maxchild=200
  pop3 cmd="pop3d -U 30" listen="127.0.0.1:${pop3Port}" prefork=0 maxchild=200
  pop3s cmd="pop3d -s -U 30" listen="127.0.0.1:${pop3sPort}" prefork=0 maxchild=200
}
EVENTS {
  checkpoint cmd="ctl_cyrusdb -c" period=30
}
`
