/**
 * Root at the start, ms_user ever after: SRV-01. Between `becomeMsUser` and `dropRoot` only the effective user is ms_user,
 * so that `asRoot` can open ports below 1024; every file is made by ms_user from the first.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, closeSync, mkdirSync, mkdtempSync, openSync, rmdirSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { type Config, findingAt } from '../config/config.ts'
import { formatFinding } from '../config/finding.ts'
import { exitCodes } from './process.ts'
import { StartError } from './supervision.ts'

export interface User {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
}

/** The user that this process is changing to. */
let becoming: User | undefined

const found = new Map<string, User | undefined>()

/** A user of this system; undefined when there is none of that name. */
export function findUser(name: string): User | undefined {
  if (!found.has(name)) {
    try {
      const id = (flag: string) =>
        execFileSync('id', [flag, '--', name], { stdio: ['ignore', 'pipe', 'ignore'] })
          .toString()
          .trim()
      const groups = id('-G').split(' ').map(Number)
      found.set(name, { name, uid: Number(id('-u')), gid: groups[0]!, groups })
    } catch {
      found.set(name, undefined)
    }
  }
  return found.get(name)
}

/** Number of a group of this system; undefined when there is none of that name. */
export function findGroup(name: string): number | undefined {
  try {
    const entry = execFileSync('getent', ['group', name], { stdio: ['ignore', 'pipe', 'ignore'] }).toString()
    return Number(entry.split(':')[2])
  } catch {
    return undefined
  }
}

/** Whom to change to; undefined for a process that isn't root, or stays it because ms_user is root or missing. */
function another(config: Config): User | undefined {
  const name = config.get('ms_user')
  return process.geteuid?.() !== 0 || name === 'root' ? undefined : findUser(name)
}

/** What to do about an ms_user that does not exist; undefined when it does. */
export function userFault(config: Config): string | undefined {
  const name = config.get('ms_user')
  if (findUser(name) !== undefined) return undefined
  return (
    `there is no user ${name}; make it (useradd --system --user-group --no-create-home --shell /usr/sbin/nologin ${name}), ` +
    'or name another: root, if the services are to keep the rights of root'
  )
}

/** Why this process will stay root although it is not asked to; undefined when it will not. */
export function missingUser(config: Config): string | undefined {
  const fault = process.geteuid?.() === 0 ? userFault(config) : undefined
  return fault === undefined ? undefined : formatFinding(findingAt(config, 'error', 'ms_user', fault))
}

function changeEffective({ name, gid, groups }: User): void {
  process.setgroups!([...groups])
  process.setegid!(gid)
  process.seteuid!(name)
}

/** `act`, which does not wait for anything, with the rights of ms_user where this process is root and is to become ms_user. */
export function asMsUser<T>(config: Config, act: () => T): T {
  const user = another(config)
  if (user === undefined) return act()
  const groups = process.getgroups!()
  changeEffective(user)
  try {
    return act()
  } finally {
    process.seteuid!(0)
    process.setegid!(0)
    process.setgroups!(groups)
  }
}

/** Directories that services write to, and the rights they are made with. */
const modes = { run_dir: 0o750, userdir: 0o700, account_db: 0o700 } as const
type OwnDirectory = keyof typeof modes

/**
 * Makes the directory when it is missing and its parent is there, owned by ms_user: one on a tmpfs is gone after each reboot.
 * Throws StartError.
 */
export function makeOwnDirectory(config: Config, option: OwnDirectory): void {
  const path = config.get(option)
  try {
    mkdirSync(path)
    chmodSync(path, modes[option])
    const user = another(config)
    if (user !== undefined) chownSync(path, user.uid, user.gid)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
      throw new StartError(directoryFault(config, option, error as Error), exitCodes.unavailable)
  }
}

/** What is wrong with a directory that an option names, who has to own it, and the command that makes it so, with file and line. */
export const directoryFault = (config: Config, option: OwnDirectory, error: Error): string =>
  formatFinding(findingAt(config, 'error', option, directoryRemedy(config, option, error)))

function directoryRemedy(config: Config, option: OwnDirectory, error: Error): string {
  const path = config.get(option)
  const owner = process.geteuid?.() === 0 ? config.get('ms_user') : ownName()
  const code = (error as NodeJS.ErrnoException).code ?? error.message
  const shared = path === '/run' || path === '/var/run'
  const remedy = shared
    ? 'name a directory of its own, for example /var/run/wherry'
    : `as root: install -d -o ${owner} -g ${groupOf(owner)} -m 0${modes[option].toString(8)} ${shellWord(path)}`
  return `${owner} can't make or write ${path} (${code}); ${remedy}`
}

/** Of this process's user, or the number of one that has no name (in a container). */
function ownName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.geteuid?.())
  }
}

function groupOf(owner: string): string {
  try {
    return execFileSync('id', ['-gn', '--', owner], { stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim()
  } catch {
    return owner
  }
}

const shellWord = (path: string) => (/^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`)

/** What is wrong with a directory that is there, found by making something in it; undefined: nothing. */
export function ownDirectoryFault(config: Config, option: OwnDirectory): string | undefined {
  try {
    rmdirSync(mkdtempSync(join(config.get(option), '.ms_user-')))
    return undefined
  } catch (error) {
    return directoryRemedy(config, option, error as Error)
  }
}

/**
 * Goes on as ms_user, who has to be able to read the program and the configuration and to make files in userdir and run_dir.
 * Does nothing in a process that is not root, or where ms_user is root or missing. Throws StartError; the process is root then.
 */
export function becomeMsUser(config: Config): void {
  const user = another(config)
  if (user === undefined) return
  for (const option of ['run_dir', 'userdir'] as const) makeOwnDirectory(config, option)
  asMsUser(config, () => {
    // access(2) would ask for the real user, who is still root.
    mustRead(
      import.meta.filename,
      `the program can't be read by ${user.name} (ms_user); move it to where every user may`,
    )
    if (config.file !== undefined)
      mustRead(config.file, `can't be read by ${user.name} (ms_user); chgrp ${groupOf(user.name)} and chmod g+r it`)
    for (const option of ['run_dir', 'userdir'] as const) {
      const fault = ownDirectoryFault(config, option)
      if (fault !== undefined)
        throw new StartError(formatFinding(findingAt(config, 'error', option, fault)), exitCodes.unavailable)
    }
  })
  changeEffective(user)
  becoming = user
}

/** For a command that works on the services' files: what root makes with it belongs to ms_user. There is no way back. */
export function goOnAsMsUser(config: Config): void {
  const user = another(config)
  if (user === undefined) return
  try {
    for (const option of ['userdir', 'account_db'] as const) makeOwnDirectory(config, option)
  } catch {
    // Commands that don't need it work; the others say what is missing.
  }
  process.setgroups!([...user.groups])
  process.setgid!(user.gid)
  process.setuid!(user.name)
}

function mustRead(path: string, message: string): void {
  try {
    closeSync(openSync(path, 'r'))
  } catch (error) {
    throw new StartError(`${path}: ${message} (${(error as NodeJS.ErrnoException).code})`, exitCodes.unavailable)
  }
}

/** Runs `open` with root's rights, where the process has not given them up yet. Not for two at a time. */
export async function asRoot<T>(open: () => Promise<T>): Promise<T> {
  if (!becoming) return open()
  process.seteuid!(0)
  try {
    return await open()
  } finally {
    process.seteuid!(becoming.name)
  }
}

/** Gives root's rights up for good. */
export function dropRoot(): void {
  if (!becoming) return
  const { name, gid } = becoming
  becoming = undefined
  process.seteuid!(0)
  process.setgid!(gid)
  process.setuid!(name)
}
