/**
 * A private Courier (IMAP and POP3, with its authentication daemon) on free loopback ports, from packages that are unpacked, not installed
 * (`unpacked.ts`). Everything it has lies in one temporary directory that `stop` removes. Needs root.
 *
 *     await using courier = await startCourier({ users: { anna: 'secret' } })
 *     await courier.fill('anna', sampleMessages(10))
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeCertificate } from './certificate.ts'
import { freePorts } from './free-port.ts'
import { answers } from './listening.ts'
import { overlaid, withUser } from './unpacked.ts'

export interface CourierOptions {
  /** Passwords by user name. */
  readonly users: Readonly<Record<string, string>>
}

export interface Courier extends AsyncDisposable {
  readonly imapPort: number
  readonly imapsPort: number
  readonly pop3Port: number
  readonly pop3sPort: number
  /** PEM file of the certificate, to be trusted by clients. */
  readonly certificateFile: string
  /** Puts messages into a mailbox ('INBOX', or one below it: 'INBOX.a.b') as a delivery agent would, in this order and with LF for CRLF: Courier
   * puts a CR before each LF, and a line end behind the last line. */
  fill(user: string, messages: Iterable<Buffer>, mailbox?: string): Promise<void>
  /** What Courier has logged so far. */
  log(): Promise<string>
  /** Ends all its processes and removes the directory. */
  stop(): Promise<void>
}

const [uid, gid] = [5500, 5500]

/** Throws with Courier's own log when it does not come up. */
export async function startCourier({ users }: CourierOptions): Promise<Courier> {
  const dir = await mkdtemp(join(tmpdir(), 'courier-'))
  await chmod(dir, 0o755)
  const etc = join(dir, 'etc')
  await mkdir(join(etc, 'courier'), { recursive: true })
  await mkdir(join(dir, 'home'))
  withUser(etc, 'courier', 5502)
  const certificateFile = join(dir, 'certificate.pem')
  makeCertificate(certificateFile, join(dir, 'key.pem'))
  const pem = `${await readFile(join(dir, 'key.pem'), 'utf8')}${await readFile(certificateFile, 'utf8')}`
  await writeFile(join(etc, 'courier/both.pem'), pem)
  await writeFile(join(etc, 'courier/authdaemonrc'), authdaemonrc)
  const home = (user: string) => join(dir, 'home', user)
  let passwords = ''
  for (const [user, password] of Object.entries(users)) {
    if (/[\s\\|=]/.test(user + password)) throw new Error('this list of passwords holds no such name or password')
    passwords += `${user} ${password}\n`
    await makeMaildir(home(user), join(home(user), 'Maildir'))
  }
  await writeFile(join(dir, 'passwords'), passwords, { mode: 0o600 })

  const [imapPort, imapsPort, pop3Port, pop3sPort] = await freePorts(5)
  const script = startScript({ imapPort, imapsPort, pop3Port, pop3sPort })
  const [command, ...prefix] = overlaid('courier', etc)
  const logFile = join(dir, 'log')
  const log = () => readFile(logFile, 'utf8').catch(() => '')
  const output = openSync(logFile, 'a')
  const server = spawn(command, [...prefix, 'sh', '-e', '-c', script, 'sh', dir], { stdio: ['ignore', output, output] })
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
    const text = await log()
    await stop()
    throw new Error(`Courier did not start: ${text}`, { cause })
  }

  let delivered = 0
  return {
    imapPort,
    imapsPort,
    pop3Port,
    pop3sPort,
    certificateFile,
    fill: async (user, messages, mailbox = 'INBOX') => {
      const maildir = join(home(user), 'Maildir', mailbox.slice('INBOX'.length))
      await makeMaildir(maildir)
      if (mailbox !== 'INBOX') await writeFile(join(maildir, 'maildirfolder'), '')
      const second = Math.floor(Date.now() / 1000)
      for (const octets of messages) {
        const name = `${second}.M${String(++delivered).padStart(9, '0')}P${process.pid}.test`
        const file = join(maildir, 'new', name)
        await writeFile(file, Buffer.from(octets.toString('latin1').replaceAll('\r\n', '\n'), 'latin1'))
        await chown(file, uid, gid)
      }
    },
    log,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

async function makeMaildir(...above: string[]): Promise<void> {
  const maildir = above.at(-1)!
  for (const path of [...above, ...['cur', 'new', 'tmp'].map((name) => join(maildir, name))]) {
    await mkdir(path, { recursive: true, mode: 0o700 })
    await chown(path, uid, gid)
  }
}

const authdaemonrc = `authmodulelist="authuserdb"
authmodulelistorig="authuserdb"
daemons=2
authdaemonvar=/run/courier/authdaemon
DEBUG_LOGIN=0
DEFAULTOPTIONS=""
LOGGEROPTS=""
`

type Ports = Readonly<Record<'imapPort' | 'imapsPort' | 'pop3Port' | 'pop3sPort', number>>

/** The configuration is the package's, but for what a private instance must have otherwise. Runs until it is killed. */
function startScript({ imapPort, imapsPort, pop3Port, pop3sPort }: Ports): string {
  const imap = '/usr/lib/courier/courier/imaplogin /usr/bin/imapd Maildir'
  const pop3 = '/usr/lib/courier/courier/courierpop3login /usr/lib/courier/courier/courierpop3d Maildir'
  const tcpd = '/usr/sbin/couriertcpd -address=127.0.0.1 -nodnslookup -noidentlookup -maxprocs=200 -maxperip=200'
  const own = 'IMAP_USELOCKS=0 TLS_CERTFILE=/etc/courier/both.pem TLS_DHPARAMS= TLS_CACHEFILE='
  const daemon = (protocol: 'imapd' | 'pop3d', changes: string, command: string) =>
    `( set -a; . /etc/courier/${protocol}; . /etc/courier/${protocol}-ssl; ${own}; ${changes}; exec ${tcpd} ${command} ) &`
  return `mkdir -p /run/courier/authdaemon
umask 077
while read -r user password; do
  crypted=$(echo "$password" | /usr/sbin/userdbpw -md5)
  hmac=$(echo "$password" | /usr/sbin/userdbpw -hmac-md5)
  printf '%s\\tuid=${uid}|gid=${gid}|home=%s|systempw=%s|hmac-md5pw=%s\\n' "$user" "$1/home/$user" "$crypted" "$hmac"
done < "$1/passwords" > /etc/courier/userdb
umask 022
/usr/sbin/makeuserdb
/usr/lib/courier/courier-authlib/authdaemond &
while [ ! -S /run/courier/authdaemon/socket ]; do sleep 0.05; done
${daemon('imapd', 'IMAP_STARTTLS=YES IMAP_CAPABILITY="$IMAP_CAPABILITY AUTH=CRAM-MD5" IMAP_CAPABILITY_TLS="$IMAP_CAPABILITY_TLS AUTH=CRAM-MD5"', `${imapPort} ${imap}`)}
${daemon('imapd', 'IMAP_TLS=1', `${imapsPort} /usr/bin/couriertls -server -tcpd ${imap}`)}
${daemon('pop3d', 'POP3_STARTTLS=YES POP3AUTH="LOGIN CRAM-MD5" POP3AUTH_TLS="LOGIN PLAIN CRAM-MD5"', `${pop3Port} ${pop3}`)}
${daemon('pop3d', 'POP3_TLS=1 POP3_STARTTLS=NO', `${pop3sPort} /usr/bin/couriertls -server -tcpd ${pop3}`)}
wait`
}
