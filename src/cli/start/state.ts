/**
 * The directories and configuration files that `npm start` makes: one instance for the gateway and, unless a real backend is named,
 * a second one for the demonstration provider. ms.conf is written anew at every start; mail and ms_sync.xml are kept.
 */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { BackendUrl } from './backend-url.ts'

/** Longest path that a Unix socket can have, less the name of the socket. */
const longestRunDirectory = 107 - '/mseventd.sock'.length

export interface Ports {
  readonly imap: number
  readonly pop3: number
  readonly lmtp: number
  /** Of the demonstration provider. */
  readonly demoPop3: number
}

export interface Instance {
  readonly directory: string
  readonly configFile: string
  readonly userDirectory: string
  readonly accountDirectory: string
}

const loopback = '127.0.0.1'

const escapeXml = (text: string) =>
  text.replace(/[&<>]/g, (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[char]!)

/** Makes the directories and writes ms.conf with the given options beside those that every instance has. */
async function writeInstance(
  directory: string,
  options: Readonly<Record<string, string | number | boolean>>,
): Promise<Instance> {
  const userDirectory = join(directory, 'user')
  const accountDirectory = join(directory, 'accounts')
  for (const path of [userDirectory, accountDirectory]) await mkdir(path, { recursive: true, mode: 0o700 })
  let runDirectory = join(directory, 'run')
  if (runDirectory.length > longestRunDirectory) runDirectory = await mkdtemp(join(tmpdir(), 'wherry-'))
  else await mkdir(runDirectory, { recursive: true, mode: 0o700 })
  const all = {
    domain: 'provider.example',
    userdir: userDirectory,
    account_db: accountDirectory,
    run_dir: runDirectory,
    msevent_host: join(runDirectory, 'mseventd.sock'),
    login_disabled: false,
    // whoever starts it owns it
    ms_user: userInfo().username,
    ...options,
  }
  const lines = Object.entries(all).map(([name, value]) => `  <${name}>${escapeXml(String(value))}</${name}>`)
  const configFile = join(directory, 'ms.conf')
  await writeFile(
    configFile,
    `<?xml version="1.0" encoding="utf-8"?>\n<!-- written by npm start -->\n<ms_options>\n${lines.join('\n')}\n</ms_options>\n`,
    { mode: 0o600 },
  )
  return { directory, configFile, userDirectory, accountDirectory }
}

/** The gateway. With the demonstration provider behind it, it looks for new mail every few seconds and a login waits for the synchronisation. */
export async function writeGateway(
  directory: string,
  ports: Ports,
  backend: BackendUrl | undefined,
): Promise<Instance> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const userDatabase = join(directory, 'ms_sync.xml')
  await writeFile(userDatabase, '<xmldb></xmldb>\n', { flag: 'wx', mode: 0o600 }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    },
  )
  return writeInstance(directory, {
    imap_host: loopback,
    imap_port: ports.imap,
    pop3_host: loopback,
    pop3_port: ports.pop3,
    lmtp_host: loopback,
    lmtp_port: ports.lmtp,
    msgtrack_db: join(directory, 'msgtrack'),
    gateway_mode: true,
    ms_syncd_protocol: backend?.protocol ?? 'pop',
    ms_syncd_host: backend?.host ?? loopback,
    ms_syncd_port: backend === undefined ? ports.demoPop3 : (backend.port ?? 0),
    ms_sync_interval: backend === undefined ? 3 : 60,
    backend_fast_login: backend !== undefined,
    ms_sync_userdb: userDatabase,
  })
}

/** The demonstration provider: a pop3d over a store and accounts of its own. */
export function writeDemoProvider(directory: string, ports: Ports): Promise<Instance> {
  return writeInstance(directory, { pop3_host: loopback, pop3_port: ports.demoPop3 })
}
