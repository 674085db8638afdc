/**
 * A private Postfix on a free loopback port, from a package that is unpacked, not installed (`unpacked.ts`): it takes mail for some domains by SMTP and hands it over as its
 * `transports` say. Everything it has lies in one temporary directory. Needs root.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { freePort } from './free-port.ts'
import { answers } from './listening.ts'
import { overlaid, withUser } from './unpacked.ts'

export interface Postfix extends AsyncDisposable {
  readonly port: number
  /** Everything that it logged. */
  log(): Promise<string>
}

/** Of its user in its own passwd. */
const id = 5502
const queues = 'active bounce corrupt defer deferred flush hold incoming maildrop private public saved trace'.split(' ')

/** `transports`: by domain, `lmtp:unix:/path` … `more`: further lines of main.cf. */
export async function startPostfix(transports: Readonly<Record<string, string>>, more = ''): Promise<Postfix> {
  const directory = await mkdtemp(join(tmpdir(), 'postfix-'))
  await chmod(directory, 0o755)
  const port = await freePort()
  const etc = join(directory, 'etc')
  for (const name of ['etc/postfix', 'spool/pid']) await mkdir(join(directory, name), { recursive: true })
  for (const name of ['data', ...queues.map((queue) => `spool/${queue}`)]) {
    await mkdir(join(directory, name), { mode: 0o700 })
    await chown(join(directory, name), id, id)
  }
  withUser(etc, 'postfix', id)
  await writeFile(join(etc, 'group'), `postdrop:x:5503:\n`, { flag: 'a' })
  const table = Object.entries(transports).map(([domain, transport]) => `{ ${domain} = ${transport} }`)
  await writeFile(
    join(etc, 'postfix/main.cf'),
    `compatibility_level = 3.6
myhostname = mx.example.net
mydestination =
inet_interfaces = 127.0.0.1
queue_directory = ${join(directory, 'spool')}
data_directory = ${join(directory, 'data')}
maillog_file = ${join(directory, 'log')}
maillog_file_prefixes = ${directory}
mynetworks = 127.0.0.0/8
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = ${Object.keys(transports).join(' ')}
virtual_mailbox_maps = static:any
transport_maps = inline:{ ${table.join(', ')} }
smtputf8_enable = yes
lmtp_send_xforward_command = yes
${more}
`,
  )
  const services = [
    `127.0.0.1:${port} inet n - n - - smtpd`,
    'cleanup unix n - n - 0 cleanup',
    'qmgr unix n - n 300 1 qmgr',
    'rewrite unix - - n - - trivial-rewrite',
    ...['bounce', 'defer', 'trace'].map((name) => `${name} unix - - n - 0 bounce`),
    'tlsmgr unix - - n 1000? 1 tlsmgr',
    'proxymap unix - - n - - proxymap',
    'lmtp unix - - n - - lmtp',
    'smtp unix - - n - - smtp',
    'error unix - - n - - error',
    'retry unix - - n - - error',
    'discard unix - - n - - discard',
    'scache unix - - n - 1 scache',
    'anvil unix - - n - 1 anvil',
    'postlog unix-dgram n - n - 1 postlogd',
  ]
  await writeFile(join(etc, 'postfix/master.cf'), `${services.join('\n')}\n`)
  await cp(resolve(import.meta.dirname, '../../node_modules/.cache/peers/postfix/etc/postfix'), join(etc, 'postfix'), {
    recursive: true,
    force: false,
  })
  const [command, ...prefix] = overlaid('postfix', etc)
  // Not by `postfix start-fg`, which asks for minutes what can't be wrong here.
  const daemon = spawn(command, [...prefix, '/usr/lib/postfix/sbin/master', '-s'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, MAIL_CONFIG: '/etc/postfix' },
  })
  let complaints = ''
  for (const stream of [daemon.stdout, daemon.stderr]) stream.on('data', (chunk: Buffer) => (complaints += chunk))
  const killWithUs = () => daemon.kill('SIGKILL')
  process.once('exit', killWithUs)
  const stop = async () => {
    process.off('exit', killWithUs)
    if (daemon.exitCode === null && daemon.kill('SIGKILL')) await once(daemon, 'exit')
    await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  }
  try {
    await answers(port, daemon)
  } catch (error) {
    await stop()
    throw new Error(`Postfix does not come up: ${(error as Error).message} ${complaints}`)
  }
  return { port, log: () => readFile(join(directory, 'log'), 'utf8'), [Symbol.asyncDispose]: stop }
}
