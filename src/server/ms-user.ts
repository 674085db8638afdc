/**
 * Root at the start, ms_user ever after: SRV-01. Between `becomeMsUser` and `dropRoot` only the effective user is ms_user,
 * so that `asRoot` can open ports below 1024; every file is made by ms_user from the first.
 */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'

interface User {
  readonly name: string
  readonly gid: number
}

/** The user that this process is changing to. */
let becoming: User | undefined

/**
 * Answers why the process stays root; undefined when it does not, or is not root at all.
 * ms_user has to be able to read `mustRead` and to make files in the directories `mustWrite`, which are made when missing.
 */
export function becomeMsUser(
  name: string,
  mustRead: readonly string[],
  mustWrite: readonly string[],
): string | undefined {
  if (process.getuid?.() !== 0 || name === 'root') return undefined
  let groups: readonly number[]
  try {
    const answer = execFileSync('id', ['-G', '--', name], { stdio: ['ignore', 'pipe', 'ignore'] }).toString()
    groups = answer.trim().split(' ').map(Number)
  } catch {
    return `there is no user ${name} (ms_user)`
  }
  const gid = groups[0]!
  process.setgroups!([...groups])
  process.setegid!(gid)
  process.seteuid!(name)
  try {
    // access(2) would ask for the real user, who is still root.
    for (const path of mustRead) closeSync(openSync(path, 'r'))
    for (const path of mustWrite) {
      mkdirSync(path, { recursive: true })
      rmdirSync(mkdtempSync(join(path, '.ms_user-')))
    }
  } catch (error) {
    process.seteuid!(0)
    process.setegid!(0)
    process.setgroups!([0])
    return `${name} (ms_user) has no access: ${(error as Error).message}`
  }
  becoming = { name, gid }
  return undefined
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
