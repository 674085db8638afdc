import { existsSync, readFileSync, renameSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { freePort } from '#test/support/free-port.ts'
import { type Installation, installation, isAlive, type Started } from './support/process.ts'
import { type Client, connectTo, until } from './support/serving.ts'

const main = resolve(import.meta.dirname, 'daemons/pop3d/main.ts')
const daemon = (at: Installation, ...args: readonly string[]): Started =>
  at.start(process.execPath, [main, '-c', at.configFile, ...args])

const pidFile = (at: Installation) => join(at.runDirectory, 'pop3d.pid')
const pidIn = (at: Installation) => Number(readFileSync(pidFile(at), 'latin1'))

/** A connected client and the process that serves it. */
async function greeted(port: number): Promise<{ client: Client; pid: number; text: string }> {
  const client = connectTo(port)
  await client.received('\r\n')
  return { client, pid: Number(/^hello ([0-9]+)/.exec(client.text)?.[1]), text: client.text }
}

/** One client of each of two workers; the kernel spreads them. */
async function clientsOfBoth(port: number) {
  const byPid = new Map<number, Client>()
  while (byPid.size < 2) {
    const { client, pid } = await greeted(port)
    if (byPid.has(pid)) client.socket.destroy()
    else byPid.set(pid, client)
  }
  return [...byPid].map(([pid, client]) => ({ pid, client }))
}

const twoWorkers = async () => {
  const port = await freePort()
  const at = installation({ pop3_host: '127.0.0.1', pop3_port: port, thread_pool_min: 2, thread_pool_max: 2 })
  return { at, port, elements: { pop3_host: '127.0.0.1', pop3_port: port, thread_pool_min: 2, thread_pool_max: 2 } }
}

describe('a daemon', () => {
  it('shares its port among workers (IMAP-17) and replaces one that dies, the other going on (SRV-02)', async () => {
    const { at, port } = await twoWorkers()
    await using _ = at
    const service = daemon(at, '-d')
    await service.says('running workers=2')
    const [one, two] = await clientsOfBoth(port)
    // What is new has little room in each: sessions that wait are most of what a worker has.
    expect(readFileSync(`/proc/${one!.pid}/environ`, 'latin1')).toContain('NODE_OPTIONS=--max-semi-space-size=2')
    process.kill(one!.pid, 'SIGKILL')
    await one!.client.ended()
    two!.client.socket.write('undisturbed\r\n')
    await two!.client.received('undisturbed')
    // Within 2 s: most of it is the start of a process.
    await service.says('ended abnormally and is started again how=SIGKILL pause_ms=100')
    const after = await clientsOfBoth(port)
    expect(after.map(({ pid }) => pid)).toContain(two!.pid)
    expect(after.map(({ pid }) => pid)).not.toContain(one!.pid)
    for (const { client } of [two!, ...after]) client.socket.destroy()
  })

  it('ends a worker with a defect and starts another, with an incident in the log', async () => {
    const { at, port } = await twoWorkers()
    await using _ = at
    const service = daemon(at, '-d')
    await service.says('running workers=2')
    const { client, pid } = await greeted(port)
    client.socket.write('defect\r\n')
    await client.ended()
    await service.says(`pop3d[${pid}] crit: defect: this process ends incident=`)
    expect(service.output()).toContain('Error: a defect, as asked')
    await service.says('exit code 70')
    for (const { client } of await clientsOfBoth(port)) client.socket.destroy()
  })

  it('says goodbye at SIGTERM and ends with 0', async () => {
    const { at, port } = await twoWorkers()
    await using _ = at
    const service = daemon(at, '-d')
    await service.says('running workers=2')
    const clients = await clientsOfBoth(port)
    expect(pidIn(at)).toBe(service.child.pid)
    service.child.kill('SIGTERM')
    for (const { client } of clients) {
      await client.received('bye\r\n')
      client.socket.end()
    }
    expect(await service.ended).toBe(0)
    expect(existsSync(pidFile(at))).toBe(false)
    for (const { pid } of clients) expect(isAlive(pid)).toBe(false)
  })

  it('leaves no worker behind when its parent is killed', async () => {
    const { at, port } = await twoWorkers()
    await using _ = at
    const service = daemon(at, '-d')
    await service.says('running workers=2')
    const clients = await clientsOfBoth(port)
    service.child.kill('SIGKILL')
    await Promise.all(clients.map(({ client }) => client.ended()))
    for (const { client } of clients) client.socket.end()
    await until(() => clients.every(({ pid }) => !isAlive(pid)))
  })

  it('sheds clients when descriptors run out, and takes clients again afterwards', async () => {
    const port = await freePort()
    await using at = installation({ pop3_host: '127.0.0.1', pop3_port: port, managed_services: false })
    const command = 'ulimit -n 50; exec "$0" "$@"'
    const service = at.start('sh', ['-c', command, process.execPath, main, '-c', at.configFile, '-d'])
    await service.says('running')
    const clients = Array.from({ length: 80 }, () => connectTo(port))
    await until(() => clients.every((client) => client.closed || client.text !== ''))
    expect(clients.filter((client) => client.closed).length).toBeGreaterThan(0)
    expect(clients.filter((client) => client.text !== '').length).toBeGreaterThan(0)
    for (const { socket } of clients) socket.destroy()
    await until(() => clients.every(({ socket }) => socket.closed))
    for (let text = ''; text === ''; ) {
      const client = connectTo(port)
      await until(() => client.closed || client.text !== '')
      text = client.text
      client.socket.destroy()
    }
    expect(service.child.exitCode).toBeNull()
  })

  it('is one process without managed_services (SRV-02)', async () => {
    const port = await freePort()
    await using at = installation({ pop3_host: '127.0.0.1', pop3_port: port, managed_services: false })
    const service = daemon(at, '-d')
    await service.says('running')
    const { client, pid } = await greeted(port)
    expect(pid).toBe(service.child.pid)
    expect(pidIn(at)).toBe(pid)
    client.socket.destroy()
    service.child.kill('SIGTERM')
    expect(await service.ended).toBe(0)
    expect(existsSync(pidFile(at))).toBe(false)
  })
})

describe('SIGHUP', () => {
  it('takes in what can change, and says what needs a restart', async () => {
    const { at, port, elements } = await twoWorkers()
    await using _ = at
    const service = daemon(at, '-d')
    await service.says('running workers=2')
    at.configure({ ...elements, max_net_buffer: 70000, thread_pool_max: 3 })
    service.child.kill('SIGHUP')
    await until(() => service.output().split('some changes need a restart').length === 3)
    expect(service.output()).toMatch(
      /configuration reloaded; .* changed="(max_net_buffer thread_pool_max|thread_pool_max max_net_buffer)" read=\S+ms\.conf restart=thread_pool_max/,
    )
    const clients = await Promise.all([greeted(port), greeted(port)])
    for (const { client, text } of clients) {
      expect(text).toMatch(/ 70000\r\n$/)
      client.socket.destroy()
    }
  })

  it('keeps the configuration in force when the new one is wrong', async () => {
    const { at, port, elements } = await twoWorkers()
    await using _ = at
    const service = daemon(at, '-d')
    await service.says('running workers=2')
    at.configure({ ...elements, max_net_buffer: 'large' })
    service.child.kill('SIGHUP')
    await service.says('the configuration is not reloaded; the one from before stays in force')
    expect(service.output()).toMatch(/ms\.conf:\d+: max_net_buffer/)
    const { client } = await greeted(port)
    client.socket.destroy()
  })
})

describe('the start', () => {
  it('goes into the background and answers when the command returns (SRV-03, SRV-08)', async () => {
    const { at, port } = await twoWorkers()
    await using _ = at
    const command = daemon(at, '-s', 'east')
    expect(await command.ended).toBe(0)
    expect(command.output()).toBe('')
    const { client } = await greeted(port)
    client.socket.destroy()
    const pid = pidIn(at)
    const logFile = join(at.runDirectory, 'pop3d.log')
    expect(readFileSync(logFile, 'utf8')).toContain(`pop3d(east)[${pid}] notice: running workers=2`)
    renameSync(logFile, `${logFile}.1`)
    process.kill(pid, 'SIGHUP')
    await until(() => existsSync(logFile) && readFileSync(logFile, 'utf8').split('configuration reloaded').length === 3)

    const second = daemon(at)
    expect(await second.ended).toBe(69)
    expect(second.output()).toContain(`pop3d runs already (process ${pid}`)

    process.kill(pid, 'SIGTERM')
    await until(() => !isAlive(pid))
    expect(existsSync(pidFile(at))).toBe(false)
  })

  it('tells in front why the background process could not start', async () => {
    const { at, port } = await twoWorkers()
    await using _ = at
    const other = createServer().listen(port, '127.0.0.1')
    const command = daemon(at)
    expect(await command.ended).toBe(69)
    expect(command.output()).toContain(
      `pop3d: ${at.configFile}:9: 127.0.0.1:${port} (pop3_host, pop3_port) is in use by another process`,
    )
    other.close()
  })

  it('does not share its port with another installation', async () => {
    const { at, port, elements } = await twoWorkers()
    await using _ = at
    const first = daemon(at, '-d')
    await first.says('running workers=2')
    await using other = installation(elements)
    const second = daemon(other, '-d')
    expect(await second.ended).toBe(69)
    expect(second.output()).toContain(`127.0.0.1:${port} (pop3_host, pop3_port) is in use`)
  })

  it('takes a pid file over that a killed process left', async () => {
    const { at } = await twoWorkers()
    await using _ = at
    const killed = daemon(at, '-d')
    await killed.says('running workers=2')
    killed.child.kill('SIGKILL')
    await killed.ended
    const service = daemon(at, '-d')
    await service.says('running workers=2')
    expect(pidIn(at)).toBe(service.child.pid)
  })

  it.each([
    ['an unknown switch', ['-x'], {}, 64, /Unknown option '-x'.*\npop3d --help/],
    ['a switch without its argument', ['-s'], {}, 64, /-s/],
    ['an unknown log level', ['-d'], { WHERRY_LOG_LEVEL: 'loud' }, 64, /WHERRY_LOG_LEVEL=loud is none of crit, err/],
    ['a missing configuration', ['-d', '-c', '/nonexistent/ms.conf'], {}, 78, /\/nonexistent\/ms\.conf/],
  ])('is refused for %s', async (_name, args, env, code, message) => {
    await using at = installation()
    const command = at.start(process.execPath, [main, ...args], env)
    expect(await command.ended).toBe(code)
    expect(command.output()).toMatch(message)
  })

  it('is explained by --help', async () => {
    await using at = installation()
    const command = at.start(process.execPath, [main, '--help'])
    expect(await command.ended).toBe(0)
    expect(command.output()).toContain('pop3d [-d] [-c FILE] [-s LABEL]')
  })
})
