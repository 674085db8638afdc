/** The processes as an operator runs them: mseventd, pop3d, msadm, msstat. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { Client } from './support/served.ts'

const run = promisify(execFile)
const bin = (name: string) => resolve(import.meta.dirname, '../../bin', name)

/** Resolves when the daemon says that it is running. */
async function daemon(name: string, file: string): Promise<ChildProcess> {
  const child = spawn(bin(name), ['-d', '-c', file], { stdio: ['ignore', 'ignore', 'pipe'] })
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    await exited
  })
  let said = ''
  child.stderr!.on('data', (chunk) => {
    said += chunk
  })
  await vi.waitFor(() => expect(said).toContain('running'), { timeout: 20_000 })
  return child
}

describe('pop3d and mseventd as processes', () => {
  it('go on through kill -9 of mseventd; msstat shows the session again after its restart (EVT-02, MON-02, F24)', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'wherry-pop3d-'))
    onTestFinished(() => rm(directory, { recursive: true, force: true }))
    const port = await freePort()
    const file = join(directory, 'ms.conf')
    await writeFile(
      file,
      `<ms_options>
        <msevent_host>${directory}/run/mseventd</msevent_host>
        <run_dir>${directory}/run</run_dir>
        <userdir>${directory}/user</userdir>
        <account_db>${directory}/accounts</account_db>
        <pop3_host>127.0.0.1</pop3_host>
        <pop3_port>${port}</pop3_port>
        <login_disabled>false</login_disabled>
        <managed_services>false</managed_services>
        <ms_user>root</ms_user>
      </ms_options>`,
    )
    await run(bin('msadm'), ['-c', file, 'add', '-p', 'pass word', 'joe@example.org'])
    const hub = await daemon('mseventd', file)
    await daemon('pop3d', file)
    const socket = createConnection(port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    const client = new Client(socket)
    expect(await client.line()).toMatch(/^\+OK/)
    expect(await client.say('USER joe@example.org')).toMatch(/^\+OK/)
    expect(await client.say('PASS pass word')).toBe('+OK maildrop has 0 messages (0 octets)')
    const msstat = async (...args: string[]) => (await run(bin('msstat'), ['-c', file, ...args])).stdout
    const session = /^joe@example\.org pop3 127\.0\.0\.1 logged in INBOX 00:00\n$/
    await vi.waitFor(async () => expect(await msstat('-n', '-u', '^joe@')).toMatch(session), { timeout: 10_000 })
    expect(await msstat()).toMatch(/^online ~ pop3 \S+ 00:00\n$/)

    const died = once(hub, 'exit')
    hub.kill('SIGKILL')
    await died
    await expect(msstat()).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining("can't be reached") })
    expect(await client.say('STAT')).toBe('+OK 0 0')

    await daemon('mseventd', file)
    await vi.waitFor(async () => expect(await msstat('-n', '-u', '^joe@')).toMatch(session), { timeout: 20_000 })
    expect(await client.say('QUIT')).toMatch(/^\+OK/)
    await client.closed
    await vi.waitFor(async () => expect(await msstat('-n', '-u', '^joe@')).toBe(''), { timeout: 10_000 })
  })
})
