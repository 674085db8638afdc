import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Installation, installation } from './support/process.ts'
import { until } from './support/serving.ts'

const isRoot = process.getuid?.() === 0
const root = resolve(import.meta.dirname, '../..')
const bin = (name: string) => join(root, 'bin', name)
const nobody = { uid: 65534, gid: 65534 }

/** An installation that user nobody may write to. */
const shared = () => {
  const at = installation({ thread_pool_max: 1 })
  for (const path of [at.directory, at.runDirectory]) {
    mkdirSync(path, { recursive: true })
    chmodSync(path, 0o777)
  }
  writeFileSync(`${at.configFile}.services`, 'mseventd\n')
  return at
}

/** By another user than the one that runs the services, who may not read what mode 0600 protects. */
const asAnother = async (at: Installation, ...args: readonly string[]) => {
  const command = [bin('mbox'), '-c', at.configFile, ...args]
  const { uid, gid } = nobody
  const started = isRoot
    ? at.start('setpriv', ['--reuid', String(uid), '--regid', String(gid), '--clear-groups', ...command])
    : at.start(command[0]!, command.slice(1))
  return { code: await started.ended, output: started.output() }
}

describe('the pid file (SRV-03)', () => {
  it('can be read by everybody', async () => {
    await using at = shared()
    expect(await at.start(bin('mseventd'), ['-c', at.configFile]).ended).toBe(0)
    expect(statSync(join(at.runDirectory, 'mseventd.pid')).mode & 0o777).toBe(0o644)
  })

  it('that can not be read stays, and no second service starts beside it', async () => {
    await using at = shared()
    expect(await at.start(bin('mseventd'), ['-c', at.configFile]).ended).toBe(0)
    const path = join(at.runDirectory, 'mseventd.pid')
    const pid = readFileSync(path, 'latin1')
    chmodSync(path, isRoot ? 0o600 : 0o000)
    const started = await asAnother(at, 'start')
    expect(started.code).toBe(1)
    expect(started.output).toContain(
      `mbox: mseventd is not started, for it may be running: ${path} can't be read (EACCES); ask as root`,
    )
    const stopped = await asAnother(at, 'stop')
    expect(stopped.code).toBe(1)
    expect(stopped.output).toContain(`mbox: mseventd may be running: ${path} can't be read (EACCES); ask as root`)
    const status = await asAnother(at, 'status')
    expect(status.code).toBe(4)
    expect(status.output).toMatch(/^mseventd {2}enabled {2}unknown$/m)
    expect(existsSync(path)).toBe(true)
    chmodSync(path, 0o644)
    expect(readFileSync(path, 'latin1')).toBe(pid)
  })

  it('of a service of another user: mbox stop says that it may not', async () => {
    if (!isRoot) return
    await using at = shared()
    expect(await at.start(bin('mseventd'), ['-c', at.configFile]).ended).toBe(0)
    const pid = Number(readFileSync(join(at.runDirectory, 'mseventd.pid'), 'latin1'))
    expect(await asAnother(at, 'stop')).toEqual({
      code: 1,
      output: `mbox: mseventd (process ${pid}) belongs to another user (EPERM); stop it as root, or as that user\n`,
    })
    expect((await asAnother(at, 'status')).output).toContain(`running (${pid})`)
  })

  it('and the log are made by ms_user, also where root starts the service', async () => {
    if (!isRoot) return
    await using at = shared()
    at.configure({ ms_user: 'nobody' })
    mkdirSync(join(at.directory, 'user'))
    chownSync(join(at.directory, 'user'), nobody.uid, nobody.gid)
    expect(await at.start(bin('mseventd'), ['-c', at.configFile]).ended).toBe(0)
    for (const [name, mode] of [
      ['mseventd.pid', 0o644],
      ['mseventd.log', 0o640],
    ] as const) {
      const { uid, mode: rights } = statSync(join(at.runDirectory, name))
      expect([uid, rights & 0o777]).toEqual([nobody.uid, mode])
    }
    // The parent, which is root, makes the new log for its worker too.
    const log = join(at.runDirectory, 'mseventd.log')
    renameSync(log, `${log}.1`)
    process.kill(Number(readFileSync(join(at.runDirectory, 'mseventd.pid'), 'latin1')), 'SIGHUP')
    await until(() => existsSync(log) && readFileSync(log, 'utf8').includes('configuration reloaded'))
    expect(statSync(log).uid).toBe(nobody.uid)
  })

  it('goes with a service that does not start; its log says why', async () => {
    await using at = shared()
    writeFileSync(join(at.directory, 'mseventd'), 'in the way')
    expect(await at.start(bin('mseventd'), ['-c', at.configFile]).ended).toBe(69)
    // The command ends with the report, the process behind it a moment later.
    await until(() => !existsSync(join(at.runDirectory, 'mseventd.pid')))
    expect(readFileSync(join(at.runDirectory, 'mseventd.log'), 'utf8')).toMatch(
      /^\S+ mseventd\[\d+\] err: not started reason=".*is in the way and is not a socket; remove it"$/m,
    )
  })
})
