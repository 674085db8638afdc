/** A whole gateway as an operator runs it: `bin/mbox run` over a configuration of its own, in a temporary directory. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { mainOf, type ServiceName } from '#src/cli/mbox/services.ts'
import { freePort } from './free-port.ts'

const root = resolve(import.meta.dirname, '../..')

export interface WherryOptions {
  /** Elements of ms.conf beside those that every instance has. */
  readonly options?: Readonly<Record<string, string | number | boolean>>
  /** Content of ms_sync.xml. */
  readonly userDatabase?: string
  /** Default: all four. */
  readonly services?: readonly ServiceName[]
  /** What the command line begins with, to run elsewhere. */
  readonly command?: readonly string[]
}

export interface Wherry extends AsyncDisposable {
  readonly directory: string
  readonly configFile: string
  readonly userDirectory: string
  readonly imapPort: number
  readonly pop3Port: number
  readonly lmtpPort: number
  /** Of the starter; all services are below it. */
  readonly pid: number
  /** What the services logged so far. */
  log(): string
  /** Process ids of a service: its parent and its workers. */
  pids(service: ServiceName): number[]
  stop(): Promise<void>
}

const element = ([name, value]: [string, unknown]) => `  <${name}>${value}</${name}>\n`

/** Starts and waits until every service answers. Throws with the log when it does not. */
export async function startWherry({
  options = {},
  userDatabase = '<xmldb></xmldb>',
  services,
  command = [],
}: WherryOptions = {}): Promise<Wherry> {
  const directory = mkdtempSync(join(tmpdir(), 'wherry-'))
  const configFile = join(directory, 'ms.conf')
  const userDirectory = join(directory, 'user')
  const [imapPort, pop3Port, lmtpPort] = [await freePort(), await freePort(), await freePort()]
  const all = {
    domain: 'gateway.example',
    userdir: userDirectory,
    account_db: join(directory, 'accounts'),
    run_dir: directory,
    msevent_host: join(directory, 'mseventd.sock'),
    imap_host: '127.0.0.1',
    imap_port: imapPort,
    pop3_host: '127.0.0.1',
    pop3_port: pop3Port,
    lmtp_host: '127.0.0.1',
    lmtp_port: lmtpPort,
    msgtrack_db: join(directory, 'track'),
    login_disabled: false,
    gateway_mode: true,
    ms_user: userInfo().username,
    ms_sync_userdb: join(directory, 'ms_sync.xml'),
    ...options,
  }
  writeFileSync(configFile, `<ms_options>\n${Object.entries(all).map(element).join('')}</ms_options>\n`)
  writeFileSync(`${configFile}.services`, `${(services ?? ['mseventd', 'ms_syncd', 'imapd', 'pop3d']).join('\n')}\n`)
  writeFileSync(join(directory, 'ms_sync.xml'), userDatabase)

  const [program, ...words] = [...command, join(root, 'bin/mbox'), '-c', configFile, 'run']
  const child = spawn(program!, words, { stdio: ['ignore', 'inherit', 'pipe'] })
  let log = ''
  const ready = new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => reject(new Error(`ended with ${signal ?? code}`)))
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text
      if (text.includes('all services answer')) resolve()
    })
  })
  try {
    await ready
  } catch (error) {
    child.kill('SIGKILL')
    throw new Error(`mbox run: ${error instanceof Error ? error.message : error}\n${log}`)
  }
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    }
    rmSync(directory, { recursive: true, force: true })
  }
  return {
    directory,
    configFile,
    userDirectory,
    imapPort,
    pop3Port,
    lmtpPort,
    pid: child.pid!,
    log: () => log,
    pids: (service) => descendants(child.pid!).filter((pid) => commandLine(pid).includes(mainOf(service))),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    return ''
  }
}

function children(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

function descendants(pid: number): number[] {
  return children(pid).flatMap((child) => [child, ...descendants(child)])
}
