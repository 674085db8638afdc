/** A program that a synchronisation is measured against, and what it needs. */
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** What is fetched. */
export interface Source {
  readonly port: number
  readonly user: string
  readonly password: string
  /** base_dir of the Dovecot that it is at, for what Dovecot's own programs ask it. */
  readonly baseDirectory: string
}

export interface Peer {
  readonly name: string
  /** At most this many messages are put to it: the slow ones would take hours. */
  readonly mostMessages: number
  /** Argument vector; `directory` is fresh and empty. */
  command(from: Source, directory: string): readonly string[]
}

export function maildir(directory: string): string {
  const path = join(directory, 'Maildir')
  for (const part of ['cur', 'new', 'tmp']) mkdirSync(join(path, part), { recursive: true })
  return path
}

export function file(directory: string, name: string, content: string): string {
  const path = join(directory, name)
  writeFileSync(path, content)
  chmodSync(path, 0o600)
  return path
}

export const nobody = 65534

/** As the commands of the product are started: same Node, same environment. */
export const wherry = (protocol: 'pop' | 'imap'): Peer => ({
  name: 'wherry',
  mostMessages: Number.POSITIVE_INFINITY,
  command: (from, directory) => [
    'sh',
    '-c',
    'main=bench/wherry-sync.ts; . "$0"',
    resolve(import.meta.dirname, '../bin/launch.sh'),
    protocol,
    String(from.port),
    from.user,
    from.password,
    directory,
  ],
})

/** Dovecot's own replication from another server into a Maildir. */
export const doveadmBackup = (driver: 'imapc' | 'pop3c', features: readonly string[]): Peer => ({
  name: `doveadm ${driver}`,
  mostMessages: Number.POSITIVE_INFINITY,
  command: (from, directory) => {
    const settings = [
      `base_dir = ${from.baseDirectory}`,
      `state_dir = ${directory}/state`,
      'ssl = no',
      `mail_location = maildir:${directory}/Maildir`,
      'namespace inbox {\n inbox = yes\n separator = /\n}',
      `${driver}_host = 127.0.0.1`,
      `${driver}_port = ${from.port}`,
      `${driver}_user = ${from.user}`,
      `${driver}_password = ${from.password}`,
      `${driver}_ssl = no`,
      'mail_prefetch_count = 20',
      ...features,
    ]
    const path = file(directory, 'dovecot.conf', `${settings.join('\n')}\n`)
    // Without a name it looks no user up, and goes by the environment.
    const run = ['env', 'USER=bench', `HOME=${directory}`, 'doveadm', '-c', path, 'backup', '-R', `${driver}:`]
    if (process.getuid?.() !== 0) return run
    for (const owned of [directory, path]) chownSync(owned, nobody, nobody)
    return asNobody(run)
  },
})

/** Those that refuse to write mail as root. */
export const asNobody = (command: readonly string[]): readonly string[] => [
  'setpriv',
  `--reuid=${nobody}`,
  `--regid=${nobody}`,
  '--clear-groups',
  ...command,
]
