/** Logins over IMAP, one after another, each on a connection of its own, at an imapd that has just been started. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { treeCpuMs } from '#test/support/cpu.ts'
import { freePort } from '#test/support/free-port.ts'
import { type Population, password, userOf } from './populations.ts'

export interface Logins {
  /** Of each login. */
  readonly wallMs: readonly number[]
  /** Of imapd and of the directory's server, all logins together. */
  readonly cpuMs: { readonly imapd: number; readonly directory: number }
}

const imapd = resolve(import.meta.dirname, '../../bin/imapd')

/** `numbers`: of the users; each one once, so that no password is remembered. */
export async function logins(directory: string, population: Population, numbers: readonly number[]): Promise<Logins> {
  const own = mkdtempSync(join(directory, 'imapd-'))
  const port = await freePort()
  const file = join(own, 'ms.conf')
  writeFileSync(
    file,
    `<ms_options><imap_host>127.0.0.1</imap_host><imap_port>${port}</imap_port><userdir>${own}/user</userdir><run_dir>${own}</run_dir>
      <msevent_host>${own}/mseventd</msevent_host><login_disabled>false</login_disabled><managed_services>false</managed_services>
      <ms_user>${userInfo().username}</ms_user>${population.options}</ms_options>`,
  )
  const child = spawn(imapd, ['-c', file, '-d'], { stdio: ['ignore', 'ignore', 'pipe'] })
  try {
    await says(child.stderr, 'running')
    // The first one starts threads and opens connections.
    await login(port, numbers[0]!)
    const before = cpuMsOf(child.pid, population.pid)
    const wallMs: number[] = []
    for (const number of numbers.slice(1)) wallMs.push(await login(port, number))
    const after = cpuMsOf(child.pid, population.pid)
    return {
      wallMs,
      cpuMs: { imapd: after.imapd - before.imapd, directory: after.directory - before.directory },
    }
  } finally {
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  }
}

async function login(port: number, number: number): Promise<number> {
  const socket = connect(port, '127.0.0.1')
  socket.setNoDelay(true)
  await says(socket, '* OK')
  const begin = performance.now()
  socket.write(`a LOGIN ${userOf(number)} "${password}"\r\n`)
  await says(socket, 'a OK')
  const taken = performance.now() - begin
  socket.destroy()
  return taken
}

/** Rejects when the stream ends without having said it. */
async function says(stream: NodeJS.ReadableStream, text: string): Promise<void> {
  let said = ''
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onData = (octets: Buffer) => {
    said += octets
    if (said.includes(text)) resolve()
  }
  const onEnd = () => reject(new Error(`ended without ${text}: ${said}`))
  stream.on('data', onData).once('close', onEnd)
  try {
    await promise
  } finally {
    stream.off('data', onData).off('close', onEnd)
    stream.resume()
  }
}

const cpuMsOf = (imapd: number | undefined, directory: number | undefined): Logins['cpuMs'] => ({
  imapd: imapd === undefined ? 0 : treeCpuMs(imapd),
  directory: directory === undefined ? 0 : treeCpuMs(directory),
})
