import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configOf } from '#src/config/config.ts'
import { becomeMsUser, missingUser } from '#src/server/ms-user.ts'

const isRoot = process.getuid?.() === 0
/** An account that every system has. */
const user = 'nobody'
const source = (path: string) => JSON.stringify(resolve(import.meta.dirname, '../../src', path))

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'ms-user-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** Becoming somebody else can't be undone: it happens in a process of its own. Answers what that prints. */
function changing(options: Readonly<Record<string, string>>): Record<string, unknown> {
  const script = `
    import { createServer } from 'node:net'
    import { mkdirSync } from 'node:fs'
    import { configOf } from ${source('config/config.ts')}
    import { asRoot, becomeMsUser, dropRoot } from ${source('server/ms-user.ts')}
    let reason
    try { becomeMsUser(configOf(${JSON.stringify({ ms_user: user, ...options })})) } catch (error) { reason = error.message }
    const uid = process.geteuid()
    mkdirSync(${JSON.stringify(join(directory, 'made'))}, { recursive: true })
    const port = await asRoot(() => new Promise((resolve) => {
      const server = createServer()
      server.on('error', (error) => resolve(error.code))
      server.listen(987, '127.0.0.5', () => { resolve(server.address().port); server.close() })
    }))
    dropRoot()
    let back = 'regained root'
    try { process.seteuid(0) } catch (error) { back = error.code }
    console.log(JSON.stringify({ reason, uid, port, after: [process.getuid(), process.geteuid(), process.getgid()], groups: process.getgroups(), back }))`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

const idOf = (flag: string) => Number(execFileSync('id', [flag, user]).toString())

describe('ms_user (SRV-01)', () => {
  it('opens low ports as root, makes files as ms_user and then is nobody else', () => {
    if (!isRoot) {
      expect(becomeMsUser(configOf({ ms_user: user, userdir: '/nonexistent' }))).toBeUndefined()
      return
    }
    chownSync(directory, idOf('-u'), idOf('-g'))
    const told = changing({ run_dir: directory, userdir: join(directory, 'new') })
    expect(told).toMatchObject({ uid: idOf('-u'), port: 987, back: 'EPERM' })
    expect(told).not.toHaveProperty('reason')
    expect(told.after).toEqual([idOf('-u'), idOf('-u'), idOf('-g')])
    expect(told.groups).toEqual([idOf('-g')])
    for (const name of ['made', 'new']) expect(statSync(join(directory, name)).uid).toBe(idOf('-u'))
  })

  it('is given the directories that are missing where only root may make them, as after a reboot on a tmpfs', () => {
    if (!isRoot) return
    const parent = mkdtempSync(join(tmpdir(), 'parent-'))
    chmodSync(parent, 0o755)
    const paths = { run_dir: join(parent, 'run'), userdir: join(parent, 'user') }
    expect(changing(paths)).not.toHaveProperty('reason')
    for (const [path, mode] of [
      [paths.run_dir, 0o750],
      [paths.userdir, 0o700],
    ] as const) {
      const { uid, gid, mode: rights } = statSync(path)
      expect([uid, gid, rights & 0o777]).toEqual([idOf('-u'), idOf('-g'), mode])
    }
    expect(statSync(parent).uid).toBe(0)
    rmSync(parent, { recursive: true })
  })

  it('without access leaves the process root, with option, directory, owner and the command that helps', () => {
    if (!isRoot) return
    const closed = mkdtempSync(join(tmpdir(), 'closed-'))
    mkdirSync(join(closed, 'user'))
    const group = execFileSync('id', ['-gn', user]).toString().trim()
    expect(changing({ run_dir: directory, userdir: join(closed, 'user') })).toMatchObject({
      uid: 0,
      reason:
        `userdir: ${user} can't make or write ${closed}/user (EACCES); ` +
        `as root: install -d -o ${user} -g ${group} -m 0700 ${closed}/user`,
    })
    expect(changing({ run_dir: join(closed, 'a/b') })).toMatchObject({
      uid: 0,
      reason: expect.stringContaining(
        `run_dir: ${user} can't make or write ${closed}/a/b (ENOENT); as root: install -d`,
      ),
    })
    expect(changing({ run_dir: '/run', userdir: directory })).toMatchObject({
      reason: `run_dir: ${user} can't make or write /run (EACCES); name a directory of its own, for example /var/run/wherry`,
    })
    rmSync(closed, { recursive: true })
  })

  it('says how to make a user that is missing', () => {
    const missing = missingUser(configOf({ ms_user: 'no-such-user' }))
    if (isRoot) expect(missing).toMatch(/^ms_user: there is no user no-such-user; make it \(useradd --system /)
    else expect(missing).toBeUndefined()
    expect(missingUser(configOf({ ms_user: 'root' }))).toBeUndefined()
  })
})
