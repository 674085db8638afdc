import { execFileSync, spawnSync } from 'node:child_process'
import { chownSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { becomeMsUser } from '#src/server/ms-user.ts'

const isRoot = process.getuid?.() === 0
/** An account that every system has. */
const user = 'nobody'
const msUser = resolve(import.meta.dirname, '../../src/server/ms-user.ts')

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'ms-user-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** Becoming somebody else can't be undone: it happens in a process of its own. Answers what that prints. */
function changing(mustRead: readonly string[], mustWrite: readonly string[], name = user): Record<string, unknown> {
  const script = `
    import { createServer } from 'node:net'
    import { mkdirSync, readFileSync } from 'node:fs'
    import { asRoot, becomeMsUser, dropRoot } from ${JSON.stringify(msUser)}
    const reason = becomeMsUser(${JSON.stringify(name)}, ${JSON.stringify(mustRead)}, ${JSON.stringify(mustWrite)})
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
      expect(becomeMsUser(user, [], ['/nonexistent'])).toBeUndefined()
      return
    }
    chownSync(directory, idOf('-u'), idOf('-g'))
    const told = changing([msUser], [directory, join(directory, 'new')])
    expect(told).toMatchObject({ uid: idOf('-u'), port: 987, back: 'EPERM' })
    expect(told).not.toHaveProperty('reason')
    expect(told.after).toEqual([idOf('-u'), idOf('-u'), idOf('-g')])
    expect(told.groups).toEqual([idOf('-g')])
    for (const name of ['made', 'new']) expect(statSync(join(directory, name)).uid).toBe(idOf('-u'))
  })

  it('stays who it is and says why when ms_user is missing or has no access', () => {
    if (!isRoot) {
      expect(becomeMsUser('no-such-user', [], [])).toBeUndefined()
      return
    }
    expect(changing([], [], 'no-such-user')).toMatchObject({
      reason: 'there is no user no-such-user (ms_user)',
      uid: 0,
    })
    const closed = mkdtempSync(join(tmpdir(), 'closed-'))
    expect(changing([], [closed])).toMatchObject({ uid: 0, reason: expect.stringContaining(`has no access: EACCES`) })
    rmSync(closed, { recursive: true })
  })
})
