import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { silentLog } from '#src/base/log.ts'
import { serviceNames } from '#src/cli/mbox/services.ts'
import { superviseServices } from '#src/cli/mbox/supervise.ts'
import { StartError } from '#src/server/supervision.ts'
import { type Installation, installation, isAlive } from '#test/server/support/process.ts'
import { connectTo, until } from '#test/server/support/serving.ts'
import { freePort } from '#test/support/free-port.ts'

const bin = resolve(import.meta.dirname, '../../bin')

const twoServices = async () => {
  const imap = await freePort()
  const elements = { imap_host: '127.0.0.1', imap_port: imap, thread_pool_max: 1 }
  const at = installation(elements)
  writeFileSync(`${at.configFile}.services`, 'mseventd\nimapd\n')
  return { at, imap }
}

const mbox = async (at: Installation, ...args: readonly string[]) => {
  const command = at.start(join(bin, 'mbox'), ['-c', at.configFile, ...args])
  return { code: await command.ended, output: command.output() }
}

async function greetingOf(port: number): Promise<string> {
  const client = connectTo(port)
  await client.received('\r\n')
  client.socket.destroy()
  return client.text
}

const pidOf = (at: Installation, service: string) =>
  Number(readFileSync(join(at.runDirectory, `${service}.pid`), 'latin1'))

describe('mbox enable and disable', () => {
  it('keep what is enabled beside the configuration; ms_syncd is not at first (GW-02)', async () => {
    await using at = installation()
    const enabled = async () => {
      const { output } = await mbox(at, 'status', '--json')
      const services: readonly { service: string; enabled: boolean; pid: number | null }[] = JSON.parse(output)
      expect(services.map(({ service }) => service)).toEqual(serviceNames)
      expect(services.every(({ pid }) => pid === null)).toBe(true)
      return services.filter((service) => service.enabled).map(({ service }) => service)
    }
    expect(await enabled()).toEqual(['mseventd', 'imapd', 'pop3d', 'lmtpd', 'sieved'])
    expect((await mbox(at, 'enable', 'ms_syncd')).code).toBe(0)
    expect((await mbox(at, 'disable', 'pop3d', 'imapd', 'lmtpd', 'sieved')).code).toBe(0)
    expect(await enabled()).toEqual(['mseventd', 'ms_syncd'])
    expect(readFileSync(`${at.configFile}.services`, 'utf8')).toMatch(/^#.*\nmseventd\nms_syncd\n$/)
  })
})

describe('mbox enable without the directory', () => {
  it('says what to do', async () => {
    await using at = installation()
    const configFile = join(at.directory, 'none/ms.conf')
    const command = at.start(join(bin, 'mbox'), ['-c', configFile, 'enable', 'ms_syncd'])
    expect(await command.ended).toBe(1)
    expect(command.output()).toMatch(
      /^mbox: \S+ms\.conf\.services can't be written: ENOENT.*; make its directory, or name/,
    )
  })
})

describe('mbox start, status and stop', () => {
  it('run the enabled services in the background', async () => {
    const { at, imap } = await twoServices()
    await using _ = at
    expect((await mbox(at, 'status')).code).toBe(3)
    const started = await mbox(at, 'start')
    expect(started).toEqual({ code: 0, output: 'mbox: mseventd runs\nmbox: imapd runs\n' })
    expect(await greetingOf(imap)).toMatch(/^\* OK /)
    const pids = ['mseventd', 'imapd'].map((service) => pidOf(at, service))
    const status = await mbox(at, 'status')
    expect(status.code).toBe(0)
    expect(status.output).toContain(`imapd     enabled  running (${pids[1]})`)
    expect((await mbox(at, 'start')).output).toBe('mbox: all of them run already\n')
    expect((await mbox(at, 'stop', 'imapd')).output).toBe('mbox: imapd stopped\n')
    await until(() => !isAlive(pids[1]!))
    expect(isAlive(pids[0]!)).toBe(true)
    expect((await mbox(at, 'stop')).output).toBe('mbox: mseventd stopped\n')
    await until(() => !pids.some(isAlive))
    expect((await mbox(at, 'stop')).output).toBe('mbox: nothing runs\n')
  })

  it('say what could not be started, and start the rest', async () => {
    const { at, imap } = await twoServices()
    await using _ = at
    const server = createServer().listen(imap, '127.0.0.1')
    const started = await mbox(at, 'start')
    server.close()
    expect(started.code).toBe(1)
    expect(started.output).toContain('mbox: mseventd runs\n')
    expect(started.output).toMatch(/^imapd: \S+ms\.conf:9: 127\./m)
    expect(started.output).toContain(`127.0.0.1:${imap} (imap_host, imap_port) is in use by another process`)
    expect(started.output).toContain('mbox: imapd is not running\n')
    expect((await mbox(at, 'stop')).code).toBe(0)
  })
})

describe('mbox run', () => {
  it('keeps the services in the foreground, restarts one that dies and takes all along', async () => {
    const { at, imap } = await twoServices()
    await using _ = at
    const run = at.start(join(bin, 'mbox'), ['-c', at.configFile, 'run'])
    await run.says('all services answer')
    expect(await greetingOf(imap)).toMatch(/^\* OK /)
    expect((await mbox(at, 'status')).code).toBe(0)
    const killed = pidOf(at, 'imapd')
    process.kill(killed, 'SIGKILL')
    await run.says('imapd ended abnormally and is started again how=SIGKILL')
    await until(() => existsSync(join(at.runDirectory, 'imapd.pid')) && pidOf(at, 'imapd') !== killed)
    await until(() => run.output().split('listening service=imap').length === 3)
    expect(await greetingOf(imap)).toMatch(/^\* OK /)
    const pids = ['mseventd', 'imapd'].map((service) => pidOf(at, service))
    run.child.kill('SIGTERM')
    expect(await run.ended).toBe(0)
    expect(pids.some(isAlive)).toBe(false)
  })

  it('says on stdout when all answer, and where, with --json', async () => {
    const { at, imap } = await twoServices()
    await using _ = at
    const run = at.start(join(bin, 'mbox'), ['-c', at.configFile, 'run', '--json'])
    let stdout = ''
    run.child.stdout!.on('data', (text: string) => {
      stdout += text
    })
    await until(() => stdout.includes('\n'))
    expect(JSON.parse(stdout)).toEqual({
      ready: true,
      addresses: [
        { service: 'msevent', path: join(at.directory, 'mseventd') },
        { service: 'imap', host: '127.0.0.1', port: imap },
      ],
    })
    expect(await greetingOf(imap)).toMatch(/^\* OK /)
    run.child.kill('SIGTERM')
    expect(await run.ended).toBe(0)
    expect(stdout.split('\n')).toHaveLength(2)
  })

  it('stops in order at Ctrl-C, which all of its processes get, and misses nobody in the log', async () => {
    const { at } = await twoServices()
    await using _ = at
    const run = at.start('setsid', [join(bin, 'mbox'), '-c', at.configFile, 'run'])
    await run.says('all services answer')
    await run.says('connected to mseventd')
    process.kill(-run.child.pid!, 'SIGINT')
    expect(await run.ended).toBe(0)
    expect(run.output()).not.toContain('not reachable')
    expect(run.output()).not.toContain('warning')
    expect(run.output().lastIndexOf('imapd[')).toBeLessThan(run.output().lastIndexOf('mseventd['))
  })

  it('says once that it goes on as root, not for each service and worker', async () => {
    if (process.getuid?.() !== 0) return
    const { at } = await twoServices()
    await using _ = at
    at.configure({ imap_host: '127.0.0.1', imap_port: await freePort(), thread_pool_min: 2, ms_user: 'no-such-user' })
    const run = at.start(join(bin, 'mbox'), ['-c', at.configFile, 'run'])
    await run.says('all services answer')
    expect(run.output().match(/there is no user no-such-user; make it/g)).toHaveLength(1)
    const background = await mbox(at, 'start', 'pop3d')
    expect(background.code).toBe(1)
    expect(background.output).toMatch(
      /^pop3d: \S+ms\.conf:\d+: ms_user: there is no user no-such-user; make it \(useradd /m,
    )
  })

  it('ends when mbox stop has stopped its services', async () => {
    const { at } = await twoServices()
    await using _ = at
    const run = at.start(join(bin, 'mbox'), ['-c', at.configFile, 'run'])
    await run.says('all services answer')
    expect((await mbox(at, 'stop')).code).toBe(0)
    expect(await run.ended).toBe(0)
  })

  it('leaves nobody behind when it is killed', async () => {
    const { at } = await twoServices()
    await using _ = at
    const run = at.start(join(bin, 'mbox'), ['-c', at.configFile, 'run'])
    await run.says('all services answer')
    const pids = ['mseventd', 'imapd'].map((service) => pidOf(at, service))
    run.child.kill('SIGKILL')
    await until(() => !pids.some(isAlive))
  })

  it.each(['run', 'start'])(
    'refuses a gateway whose ms_syncd is not enabled, with the command that enables it (GW-02): %s',
    async (verb) => {
      await using at = installation({ gateway_mode: true, ms_syncd_host: 'pop.example.net' })
      const { code, output } = await mbox(at, verb)
      expect(code).toBe(78)
      expect(output).toBe(
        `mbox: ${at.configFile}:8: gateway_mode: is true, but the service ms_syncd, which asks the backends, is not enabled; ` +
          `run: mbox -c ${at.configFile} enable ms_syncd\n`,
      )
      expect(existsSync(join(at.runDirectory, 'mseventd.pid'))).toBe(false)
    },
  )
})

describe('mbox check-config', () => {
  const findings = async (at: Installation) => {
    const { code, output } = await mbox(at, 'check-config')
    const lines = output
      .trimEnd()
      .split('\n')
      .map((line) => line.replaceAll(at.directory, '…'))
    return { code, lines }
  }

  it('says which file was looked at', async () => {
    await using at = installation()
    const checked = at.start(join(bin, 'mbox'), ['check-config'])
    await checked.ended
    if (existsSync('/etc/isode/ms.conf')) expect(checked.output()).toContain('/etc/isode/ms.conf')
    else expect(checked.output()).toContain('no /etc/isode/ms.conf: built-in defaults: the configuration can be used\n')
  })

  it('finds that services would be in the way of each other', async () => {
    await using at = installation({ imap_port: 1143, pop3_host: '127.0.0.1', pop3_port: 1143 })
    expect(await findings(at)).toEqual({
      code: 78,
      lines: [
        'error: …/ms.conf:10: pop3_port: 127.0.0.1:1143 is taken by imap_host and imap_port (*:1143); choose another port',
        '…/ms.conf: the services can not run so',
      ],
    })
    writeFileSync(`${at.configFile}.services`, 'mseventd\nimapd\n')
    expect((await findings(at)).code).toBe(0)
  })

  it('finds a certificate that can not be used, and half a gateway', async () => {
    await using at = installation({ gateway_mode: true, ms_syncd_host: 'a', tls_cert_file: 'none.pem' })
    expect(await findings(at)).toEqual({
      code: 78,
      lines: [
        'error: …/ms.conf:8: gateway_mode: is true, but the service ms_syncd, which asks the backends, is not enabled; run: mbox -c …/ms.conf enable ms_syncd',
        "error: …/ms.conf:10: tls_cert_file: …/none.pem can't be read: ENOENT; put the file there, or let the user of the services read it",
        '…/ms.conf: the services can not run so',
      ],
    })
  })

  it('warns of a missing user and of directories that can not be used', async () => {
    await using at = installation()
    at.configure({ ms_user: 'no-such-user', userdir: join(at.directory, 'a/b') })
    const { code, lines } = await findings(at)
    expect(code).toBe(0)
    expect(lines[0]).toMatch(/^warning: …\/ms\.conf:7: ms_user: there is no user no-such-user; make it \(useradd /)
    expect(lines[1]).toMatch(
      /^warning: …\/ms\.conf:3: userdir: …\/a\/b is not there, and neither is its parent; .*install -d -o no-such-user/,
    )
    expect(lines[2]).toBe('…/ms.conf: the configuration can be used')
  })
})

describe('superviseServices', () => {
  it('runs the services of two configurations and tells their addresses', async () => {
    const one = await twoServices()
    const two = await twoServices()
    await using _ = one.at
    await using __ = two.at
    const lines: string[] = []
    const running = await superviseServices({
      sets: [
        { configFile: one.at.configFile, services: ['mseventd', 'imapd'] },
        { configFile: two.at.configFile, services: ['mseventd', 'imapd'], prefix: 'demo' },
      ],
      log: silentLog,
      onOutput: (line) => lines.push(line),
    })
    expect(running.addresses).toEqual(
      [one, two].map(({ at, imap }) => [
        { service: 'msevent', at: { path: join(at.directory, 'mseventd') } },
        { service: 'imap', at: { host: '127.0.0.1', port: imap } },
      ]),
    )
    expect(await greetingOf(two.imap)).toMatch(/^\* OK /)
    await running.stop()
    await running.ended
    expect(lines.filter((line) => /^demo \S+ imapd\[/.test(line)).length).toBeGreaterThan(0)
    expect(lines.every((line) => line.endsWith('\n'))).toBe(true)
  })

  it('starts nothing when one service can not start', async () => {
    const { at, imap } = await twoServices()
    await using _ = at
    const other = createServer().listen(imap, '127.0.0.1')
    const failure = await superviseServices({
      sets: [{ configFile: at.configFile, services: ['mseventd', 'imapd'] }],
      log: silentLog,
      onOutput: () => {},
    }).catch((error) => error)
    other.close()
    expect(failure).toBeInstanceOf(StartError)
    expect(failure.message).toMatch(/^imapd: .* is in use by another process/)
    expect(existsSync(join(at.runDirectory, 'mseventd.pid'))).toBe(false)
  })
})

describe('mbox', () => {
  it('checks a configuration', async () => {
    await using at = installation()
    expect(await mbox(at, 'check-config')).toEqual({
      code: 0,
      output: `${at.configFile}: the configuration can be used\n`,
    })
    at.configure({ imap_port: 'many' })
    const wrong = await mbox(at, 'check-config')
    expect(wrong.code).toBe(78)
    expect(wrong.output).toMatch(/^error: .*ms\.conf:\d+: imap_port: /)
    const json = await mbox(at, 'check-config', '--json')
    expect(JSON.parse(json.output)[0]).toMatchObject({ severity: 'error', option: 'imap_port', file: at.configFile })
    expect((await mbox(at, 'run')).code).toBe(78)
    at.configure({ oauth_key_file: at.configFile.replace('ms.conf', 'short.key') })
    writeFileSync(at.configFile.replace('ms.conf', 'short.key'), 'short')
    expect((await mbox(at, 'check-config')).output).toMatch(
      /^error: .*ms\.conf:\d+: oauth_key_file: .* has 5 octets; it needs 32 or more/,
    )
  })

  it.each([
    [['dance'], /"dance" is none of run, start/],
    [['enable'], /enable takes services: mseventd, imapd/],
    [['start', 'smtpd'], /start: "smtpd" is none of mseventd, imapd/],
    [['run', 'imapd'], /run takes no services/],
    [['-q', 'run'], /Unknown option '-q'/],
    [['start', '--json'], /--json goes with run, status, check-config/],
    [['completion', 'fish'], /completion is there for bash/],
  ])('refuses %j', async (args, message) => {
    await using at = installation()
    const { code, output } = await mbox(at, ...args)
    expect(code).toBe(64)
    expect(output).toMatch(message)
    expect(output).toContain('mbox help')
  })

  it('completes its words in bash', async () => {
    await using at = installation()
    const complete = async (...words: readonly string[]) => {
      const script = `source <(${join(bin, 'mbox')} completion bash)
        COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}) COMP_CWORD=${words.length - 1}
        _mbox; echo "\${COMPREPLY[@]}"`
      const bash = at.start('bash', ['-c', script])
      await bash.ended
      return bash.output().trim()
    }
    expect(await complete('mbox', 'st')).toBe('start stop status')
    expect(await complete('mbox', '-c', 'ms.conf', 'enable', 'ms')).toBe('mseventd ms_syncd msadmind')
    expect(await complete('mbox', 'run', '-')).toBe('--json')
  })
})

describe('the launchers', () => {
  it('run by a symbolic link, from another directory', async () => {
    await using at = installation()
    const link = join(at.directory, 'services')
    symlinkSync(join(bin, 'mbox'), link)
    const command = at.start('sh', ['-c', `cd / && '${link}' help`])
    expect(await command.ended).toBe(0)
    expect(command.output()).toMatch(/^mbox: the services of Wherry/)
  })

  it('say what to do where npm ci has not run', async () => {
    const root = await mkdtemp(join(tmpdir(), 'bare-'))
    mkdirSync(join(root, 'bin'))
    await cp(bin, join(root, 'bin'), { recursive: true })
    await using at = installation()
    for (const name of ['mbox', 'msadm', 'msstat', 'imapd', 'pop3d', 'mseventd', 'ms_syncd']) {
      const command = at.start(join(root, 'bin', name), [])
      expect(await command.ended).toBe(69)
      expect(command.output()).toContain(`run 'npm ci' in ${root} first`)
    }
    await rm(root, { recursive: true })
  })
})
