/**
 * A private Exim on a free loopback port that delivers every message into a file of its own, as a mail server hands it to the next program: with trace
 * fields, and LF. Needs root, as Exim does. Everything lies in one temporary directory.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'

export interface Exim extends AsyncDisposable {
  readonly port: number
  /** What was delivered so far, to whomever, in no order. `Envelope-to` tells the recipient. */
  delivered(): Promise<readonly Buffer[]>
  log(): Promise<string>
}

export async function startExim(options: { readonly sizeLimit?: string; readonly tls?: boolean } = {}): Promise<Exim> {
  const directory = await mkdtemp(join(tmpdir(), 'exim-'))
  const port = await freePort()
  const mail = join(directory, 'mail')
  for (const name of ['spool', 'log', 'mail']) {
    await mkdir(join(directory, name))
    await chmod(join(directory, name), 0o777)
  }
  await chmod(directory, 0o755)
  const configuration = join(directory, 'exim.conf')
  await writeFile(
    configuration,
    `primary_hostname = mx.example.org
spool_directory = ${join(directory, 'spool')}
log_file_path = ${join(directory, 'log')}/%slog
pid_file_path = ${join(directory, 'exim.pid')}
local_interfaces = 127.0.0.1
daemon_smtp_ports = ${port}
message_size_limit = ${options.sizeLimit ?? '50M'}
smtp_accept_max = 50
smtp_accept_queue_per_connection = 0
keep_environment =
tls_advertise_hosts = ${options.tls === true ? '*' : ''}
acl_smtp_rcpt = acl_rcpt
begin acl
acl_rcpt:
  accept hosts = 127.0.0.1
begin routers
all:
  driver = accept
  transport = file
begin transports
file:
  driver = appendfile
  directory = ${mail}
  user = Debian-exim
  return_path_add
  envelope_to_add
  check_string =
`,
    { mode: 0o644 },
  )
  const daemon = spawn('/usr/sbin/exim4', ['-C', configuration, '-bdf', '-oX', `127.0.0.1.${port}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let complaints = ''
  daemon.stderr.on('data', (chunk) => (complaints += chunk))
  const stop = async () => {
    if (daemon.exitCode === null && daemon.kill()) await once(daemon, 'exit')
    await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  }
  try {
    await answers(daemon, port)
  } catch (error) {
    await stop()
    throw new Error(`Exim does not come up: ${(error as Error).message} ${complaints}`)
  }
  return {
    port,
    delivered: async () => {
      const names = (await readdir(mail)).filter((name) => name.startsWith('q'))
      return Promise.all(names.map((name) => readFile(join(mail, name))))
    },
    log: () => readFile(join(directory, 'log', 'mainlog'), 'utf8').catch(() => ''),
    [Symbol.asyncDispose]: stop,
  }
}

/** Resolves when the port says 220. */
async function answers(daemon: ChildProcess, port: number): Promise<void> {
  const deadline = Date.now() + 20_000
  for (;;) {
    if (daemon.exitCode !== null) throw new Error(`it ended with ${daemon.exitCode}.`)
    const socket = connect(port, '127.0.0.1')
    const greeted = await new Promise<boolean>((resolve) => {
      socket.once('data', () => resolve(true))
      socket.once('error', () => resolve(false))
      socket.once('close', () => resolve(false))
    })
    socket.destroy()
    if (greeted) return
    if (Date.now() > deadline) throw new Error('it does not answer.')
  }
}
