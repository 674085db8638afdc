/**
 * Mail servers whose Debian packages exclude each other (each is "the" IMAP server of its machine), and the libraries that they need: unpacked beside
 * the system, not installed, and run in a mount namespace in which their files lie over the system's. No service starts, nothing of the machine changes.
 */
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'

const packages = {
  courier:
    'courier-imap courier-pop courier-base courier-authlib courier-authdaemon courier-authlib-userdb libcourier-unicode4 libgamin0 libltdl7 libidn12 libgdbm6',
  cyrus:
    'cyrus-common cyrus-imapd cyrus-pop3d cyrus-clients sasl2-bin libsasl2-2 libsasl2-modules libsasl2-modules-db libical3 libicu72 libjansson4 libpcre3 libpq5 libwrap0 libxapian30',
  // It excludes Exim.
  postfix: 'postfix libdb5.3 libicu72 libnsl2 libsasl2-2',
} as const

export type Unpacked = keyof typeof packages

const cache = resolve(import.meta.dirname, '../../node_modules/.cache/peers')

const complete = (name: Unpacked): boolean => {
  const list = join(cache, name, 'packages')
  return existsSync(list) && readFileSync(list, 'utf8') === packages[name]
}

/** Those that are not there yet. */
export const absentUnpacked = (): Unpacked[] => (Object.keys(packages) as Unpacked[]).filter((name) => !complete(name))

/** Downloads and unpacks one, which takes no special rights. Throws with what to do where that fails. */
export function unpack(name: Unpacked): void {
  mkdirSync(cache, { recursive: true })
  const directory = mkdtempSync(join(cache, `${name}-`))
  try {
    execFileSync('apt-get', ['download', '-qq', ...packages[name].split(' ')], {
      cwd: directory,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    for (const file of readdirSync(directory)) {
      execFileSync('dpkg', ['-x', file, '.'], { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] })
      rmSync(join(directory, file))
    }
    // The system's /lib is a link to /usr/lib.
    if (existsSync(join(directory, 'lib')))
      cpSync(join(directory, 'lib'), join(directory, 'usr/lib'), { recursive: true, verbatimSymlinks: true })
    writeFileSync(join(directory, 'packages'), packages[name])
    rmSync(join(cache, name), { recursive: true, force: true })
    renameSync(directory, join(cache, name))
  } catch (cause) {
    rmSync(directory, { recursive: true, force: true })
    throw new Error(
      `The tests need these packages of Debian, which they unpack into ${join(cache, name)}: ${packages[name]}. Is this Debian 12, and are its lists fresh (sudo apt-get update)?`,
      { cause },
    )
  }
}

/**
 * What a command is to begin with so that it runs where the server's files lie over /usr and /etc, and those of `etc`
 * over both (what is written to /etc goes there, too); /run is empty. When
 * this command ends, however it ends, all processes that were started in it end. Throws with what to do where this user may not do that.
 */
export function overlaid(name: Unpacked, etc: string): [string, ...string[]] {
  if (process.getuid?.() !== 0)
    throw new Error(`Tests with ${name} make mounts of their own: run them as root, as CI does`)
  if (!complete(name)) unpack(name)
  mkdirSync(`${etc}.work`, { recursive: true })
  const mounts = `mount -t overlay overlay -o "lowerdir=$1/usr:/usr" /usr
mount -t overlay overlay -o "lowerdir=$1/etc:/etc,upperdir=$2,workdir=$2.work" /etc
mount -t tmpfs tmpfs /run
shift 2
"$@" & wait $!`
  // The shell stays, as root, to be killed with `unshare`: Linux forgets that of a process that changes its user.
  const namespace = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc']
  return ['unshare', ...namespace, 'sh', '-e', '-c', mounts, 'sh', join(cache, name), etc]
}

/** Writes passwd and group for `etc`: the machine's, and the user that the server's package makes when it is installed. */
export function withUser(etc: string, name: string, id: number): void {
  for (const [file, entry] of [
    ['passwd', `${name}:x:${id}:${id}::/nonexistent:/usr/sbin/nologin`],
    ['group', `${name}:x:${id}:`],
  ] as const)
    writeFileSync(join(etc, file), `${readFileSync(join('/etc', file), 'utf8')}${entry}\n`)
}
