import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { freePort } from '#test/support/free-port.ts'
import { installation } from './support/process.ts'

const root = resolve(import.meta.dirname, '../..')
const bin = (name: string) => join(root, 'bin', name)

/** A gateway whose ms_sync_userdb (line 9 of ms.conf) names a file that is not there. */
const withoutUsers = () => {
  const at = installation()
  const file = join(at.directory, 'missing.xml')
  at.configure({ gateway_mode: true, ms_sync_userdb: file, managed_services: false })
  const finding =
    `${at.configFile}:9: ms_sync_userdb: ${file} can't be read: ENOENT: no such file or directory, ` +
    `stat '${file}'; make the file readable, or name another\n`
  return { at, finding }
}

/** What was said beside the log. */
const told = (output: string) => output.replace(/^\d{4}-\d\d-\d\dT.*\n/gm, '')

describe('a service that can not start says why, without a stack', () => {
  it.each([
    ['in the foreground', ['-d']],
    ['in the background', []],
  ])('%s', async (_, args) => {
    const { at, finding } = withoutUsers()
    await using _at = at
    const command = at.start(bin('ms_syncd'), ['-c', at.configFile, ...args])
    expect(await command.ended).toBe(78)
    expect(told(command.output())).toBe(`ms_syncd: ${finding}`)
  })

  it('under a parent', async () => {
    const { at } = withoutUsers()
    await using _at = at
    const file = join(at.directory, 'missing.xml')
    at.configure({ gateway_mode: true, ms_sync_userdb: file })
    const command = at.start(bin('ms_syncd'), ['-c', at.configFile, '-d'])
    expect(await command.ended).toBe(78)
    expect(told(command.output())).toMatch(/^ms_syncd: \S+ms\.conf:9: ms_sync_userdb: .*\n$/)
  })

  it('under mbox run', async () => {
    const { at, finding } = withoutUsers()
    await using _at = at
    writeFileSync(`${at.configFile}.services`, 'ms_syncd\n')
    const command = at.start(bin('mbox'), ['-c', at.configFile, 'run'])
    expect(await command.ended).toBe(78)
    expect(told(command.output())).toBe(`mbox: ms_syncd: ${finding}`)
  })

  it('under npm start', async () => {
    await using at = installation()
    mkdirSync(join(at.directory, 'gateway'))
    writeFileSync(join(at.directory, 'gateway/ms_sync.xml'), '<xmldb>\n<user></user>\n</xmldb>\n')
    const port = await freePort()
    const args = ['src/cli/start/main.ts', '--backend', `pop://127.0.0.1:${port}`, '--state', at.directory]
    const command = at.start(process.execPath, args.with(0, join(root, args[0]!)))
    expect(await command.ended).toBe(1)
    expect(command.output()).toMatch(/^npm start: ms_syncd: \S+gateway\/ms_sync\.xml:2: frontend_id: [^\n]+$/m)
    expect(command.output()).not.toMatch(/^ +at /m)
  })

  it('when the directory for its pid file can not be made', async () => {
    await using at = installation()
    writeFileSync(join(at.directory, 'file'), '')
    const runDirectory = join(at.directory, 'file/run')
    at.configure({ run_dir: runDirectory })
    for (const args of [['-d'], []]) {
      const command = at.start(bin('mseventd'), ['-c', at.configFile, ...args])
      expect(await command.ended).toBe(69)
      expect(command.output()).toBe(
        `mseventd: ${at.configFile}:5: run_dir: root can't make or write ${runDirectory} (ENOTDIR); ` +
          `as root: install -d -o root -g root -m 0750 ${runDirectory}\n`,
      )
    }
  })

  it('when its socket can not be opened', async () => {
    await using at = installation({ managed_services: false })
    writeFileSync(join(at.directory, 'mseventd'), 'a file, no socket')
    const command = at.start(bin('mseventd'), ['-c', at.configFile, '-d'])
    expect(await command.ended).toBe(69)
    expect(command.output()).toContain('is in the way and is not a socket; remove it')
    expect(command.output()).not.toMatch(/^ +at /m)
  })
})
