/**
 * A private Dovecot on free loopback ports: the peer, and the backend, of many tests. Everything it has (configuration,
 * Maildirs, sockets, log) lies in one temporary directory that `stop` removes. Runs as root or as an ordinary user.
 *
 *     await using dovecot = await startDovecot({ users: { 'anna': 'secret' }, protocols: ['imap', 'pop3'] })
 *     await dovecot.fill('anna', sampleMessages(10))
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { makeCertificate } from './certificate.ts'
import { freePorts } from './free-port.ts'
import { answers } from './listening.ts'

export type DovecotProtocol = 'imap' | 'pop3' | 'lmtp' | 'sieve'

export interface DovecotOptions {
  /** Passwords by user name. Names may have a domain part; they are compared without case. */
  readonly users: Readonly<Record<string, string>>
  /** Default: imap and pop3. */
  readonly protocols?: readonly DovecotProtocol[]
  /** Adds imaps and pop3s ports and STARTTLS/STLS, with a self-signed certificate for 'localhost' and 127.0.0.1. */
  readonly tls?: boolean
  /** Lines of dovecot.conf behind our own, which they override. */
  readonly extra?: string
}

export interface Dovecot extends AsyncDisposable {
  /** Of the master; all other processes are below it. */
  readonly pid: number
  readonly imapPort: number
  readonly imapsPort: number | undefined
  readonly pop3Port: number
  readonly pop3sPort: number | undefined
  readonly lmtpPort: number | undefined
  /** ManageSieve, with STARTTLS where there is TLS. */
  readonly sievePort: number | undefined
  /** PEM file of the certificate, to be trusted by clients. */
  readonly certificateFile: string | undefined
  /** Home directory of a user; the Maildir is `Maildir` in it. */
  home(user: string): string
  /**
   * Puts messages into a mailbox ('INBOX' when not given) as a delivery agent would, in this order, with line ends as
   * they are: Dovecot serves a bare LF as CRLF.
   */
  fill(user: string, messages: Iterable<Buffer>, mailbox?: string): Promise<void>
  /** Another user, or another password for one; resolves when it is in force (Dovecot looks once a second). */
  setPassword(user: string, password: string): Promise<void>
  /** What Dovecot's own tool answers. */
  doveadm(...words: readonly string[]): string
  /** What Dovecot has logged so far. */
  log(): Promise<string>
  /** Ends all its processes and removes the directory. */
  stop(): Promise<void>
}

const startAttempts = 3

/** Throws with Dovecot's own log when it does not come up. */
export async function startDovecot(options: DovecotOptions): Promise<Dovecot> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(options)
    } catch (error) {
      // Between our looking for a free port and Dovecot's bind somebody else may have taken it.
      if (attempt === startAttempts || !String(error).includes('Address already in use')) throw error
    }
  }
}

async function startOnce(options: DovecotOptions): Promise<Dovecot> {
  const protocols = options.protocols ?? ['imap', 'pop3']
  const dir = await mkdtemp(join(tmpdir(), 'dovecot-'))
  await chmod(dir, 0o755)
  // As root, mail belongs to a user id of its own; else everything runs as the one user there is.
  const { uid: ownUid, gid: ownGid, username } = userInfo()
  const [uid, gid] = ownUid === 0 ? [5500, 5500] : [ownUid, ownGid]
  await mkdir(join(dir, 'home'))
  await chown(join(dir, 'home'), uid, gid)

  const home = (user: string) => join(dir, 'home', user.toLowerCase().replaceAll('/', '_'))
  const passwords = new Map(Object.entries(options.users).map(([user, password]) => [user.toLowerCase(), password]))
  const writePasswords = async () => {
    let lines = ''
    for (const [user, password] of passwords) {
      if (/[:\r\n]/.test(user + password)) throw new Error('a passwd-file holds no colon or line end')
      lines += `${user}:{PLAIN}${password}:${uid}:${gid}::${home(user)}::\n`
    }
    await writeFile(join(dir, 'passwd'), lines)
  }
  await writePasswords()

  const certificateFile = options.tls ? join(dir, 'certificate.pem') : undefined
  if (certificateFile !== undefined) makeCertificate(certificateFile, join(dir, 'key.pem'))

  const [imapPort, imapsPort, pop3Port, pop3sPort, lmtpPort, sievePort] = await freePorts(6)
  const ports = { imap: imapPort, imaps: imapsPort, pop3: pop3Port, pop3s: pop3sPort, lmtp: lmtpPort, sieve: sievePort }
  const configFile = join(dir, 'dovecot.conf')
  await writeFile(
    configFile,
    configuration(
      dir,
      protocols,
      ports,
      options.tls === true,
      ownUid === 0 ? undefined : username,
      options.extra ?? '',
    ),
  )
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` }
  const master = spawn('dovecot', ['-F', '-c', configFile], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env,
  })
  let complaint = ''
  master.stderr.on('data', (chunk) => {
    complaint += chunk
  })
  const killWithUs = () => master.kill('SIGTERM')
  process.once('exit', killWithUs)
  const stop = async () => {
    process.off('exit', killWithUs)
    await terminate(master)
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  }
  const log = () => readFile(join(dir, 'dovecot.log'), 'utf8').catch(() => '')

  const expected = protocols.flatMap((protocol) =>
    options.tls && (protocol === 'imap' || protocol === 'pop3')
      ? [ports[protocol], ports[`${protocol}s`]]
      : [ports[protocol]],
  )
  try {
    await Promise.all(expected.map((port) => answers(port, master)))
  } catch (cause) {
    const text = `${complaint}${await log()}`
    await stop()
    throw new Error(`Dovecot did not start: ${text}`, { cause })
  }

  let delivered = 0
  const fill = async (user: string, messages: Iterable<Buffer>, mailbox = 'INBOX') => {
    const maildir = join(home(user), 'Maildir')
    const target = mailbox === 'INBOX' ? maildir : join(maildir, `.${mailbox.replaceAll('/', '.')}`)
    const made = [home(user), maildir, target, ...['cur', 'new', 'tmp'].map((name) => join(target, name))]
    for (const path of made) {
      await mkdir(path, { recursive: true, mode: 0o700 })
      await chown(path, uid, gid)
    }
    const second = Math.floor(Date.now() / 1000)
    for (const octets of messages) {
      // Dovecot numbers new files in the order of these figures.
      const name = `${second}.M${String(++delivered).padStart(9, '0')}P${process.pid}.test`
      const file = join(target, 'new', name)
      await writeFile(file, octets)
      await chown(file, uid, gid)
    }
  }

  return {
    pid: master.pid!,
    imapPort: ports.imap,
    imapsPort: options.tls ? ports.imaps : undefined,
    pop3Port: ports.pop3,
    pop3sPort: options.tls ? ports.pop3s : undefined,
    lmtpPort: protocols.includes('lmtp') ? ports.lmtp : undefined,
    sievePort: protocols.includes('sieve') ? ports.sieve : undefined,
    certificateFile,
    home,
    fill,
    setPassword: async (user, password) => {
      passwords.set(user.toLowerCase(), password)
      await writePasswords()
      while (spawnSync('doveadm', ['-c', configFile, 'auth', 'test', user, password], { env }).status !== 0)
        await new Promise((resolve) => setTimeout(resolve, 50))
    },
    doveadm: (...words) => execFileSync('doveadm', ['-c', configFile, ...words], { env, encoding: 'utf8' }),
    log,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** The master takes its children along on SIGTERM. */
async function terminate(master: ChildProcess): Promise<void> {
  if (master.exitCode !== null || master.signalCode !== null) return
  const ended = once(master, 'exit')
  master.kill('SIGTERM')
  await ended
}

type Ports = Readonly<Record<'imap' | 'imaps' | 'pop3' | 'pop3s' | 'lmtp' | 'sieve', number>>

function configuration(
  dir: string,
  protocols: readonly DovecotProtocol[],
  ports: Ports,
  tls: boolean,
  /** Set when Dovecot runs without root: its internal users are then this one. */
  onlyUser: string | undefined,
  extra: string,
): string {
  const unprivileged =
    onlyUser === undefined
      ? ''
      : `
default_internal_user = ${onlyUser}
default_internal_group = ${execFileSync('id', ['-gn'], { encoding: 'utf8' }).trim()}
default_login_user = ${onlyUser}
service anvil {
  chroot =
}
service imap-login {
  chroot =
}
service pop3-login {
  chroot =
}${
          protocols.includes('sieve')
            ? `
service managesieve-login {
  chroot =
}`
            : ''
        }`
  const ssl = tls ? `ssl = yes\nssl_cert = <${dir}/certificate.pem\nssl_key = <${dir}/key.pem` : 'ssl = no'
  const login = (protocol: 'imap' | 'pop3') => `
service ${protocol}-login {
  inet_listener ${protocol} {
    port = ${ports[protocol]}
  }
  inet_listener ${protocol}s {
    port = ${tls ? ports[`${protocol}s`] : 0}
    ssl = ${tls ? 'yes' : 'no'}
  }
  service_count = 0
  client_limit = 1000
}
service ${protocol} {
  service_count = 100
  process_limit = 200
}`
  const lmtp = `
service lmtp {
  inet_listener lmtp {
    port = ${ports.lmtp}
  }
}`
  const sieve = `
service managesieve-login {
  inet_listener sieve {
    port = ${ports.sieve}
  }
}`
  const servicesOf = (protocol: DovecotProtocol) =>
    protocol === 'lmtp' ? lmtp : protocol === 'sieve' ? sieve : login(protocol)
  return `base_dir = ${dir}/run
state_dir = ${dir}/state
log_path = ${dir}/dovecot.log
listen = 127.0.0.1
protocols = ${protocols.join(' ')}
${ssl}
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_username_format = %Lu
auth_failure_delay = 0
mail_location = maildir:~/Maildir
mail_max_userip_connections = 1000
first_valid_uid = 1
default_vsz_limit = 1G
postmaster_address = postmaster@example.org
namespace inbox {
  inbox = yes
  separator = /
}
passdb {
  driver = passwd-file
  args = ${dir}/passwd
}
userdb {
  driver = passwd-file
  args = ${dir}/passwd
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
${protocols.map(servicesOf).join('\n')}
${unprivileged}
${extra}
`
}
