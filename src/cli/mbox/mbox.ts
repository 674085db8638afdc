/** The command `mbox`: cli.md §4 in one form for every platform. */
import { once } from 'node:events'
import { resolve } from 'node:path'
import type { Writable } from 'node:stream'
import { parseArgs } from 'node:util'
import { systemClock } from '../../base/clock.ts'
import type { Config } from '../../config/config.ts'
import { ConfigError, formatFinding } from '../../config/finding.ts'
import { defaultConfigFile, loadConfig } from '../../config/ms-conf.ts'
import { makeLog } from '../../server/log/log.ts'
import { stderrTarget } from '../../server/log/targets.ts'
import { missingUser } from '../../server/ms-user.ts'
import { exitCodes } from '../../server/process.ts'
import { StartError } from '../../server/supervision.ts'
import { checkInstallation, gatewayFault } from './check.ts'
import { type ServiceStatus, startService, statusOf, stopService } from './control.ts'
import { enabledFile, enabledServices, isService, type ServiceName, serviceNames, setEnabled } from './services.ts'
import { superviseServices } from './supervise.ts'
import { bashCompletion, takesJson, usage, type Verb, verbs } from './usage.ts'

export interface Surroundings {
  readonly out: Writable
  readonly err: Writable
}

/** The arguments can't be used; the message says what would be right. */
class UsageError extends Error {
  override readonly name = 'UsageError'
}

interface Command {
  readonly verb: Verb
  readonly words: readonly string[]
  /** Absolute; undefined for the default. */
  readonly configFile: string | undefined
  readonly json: boolean
}

/** Runs mbox; answers its exit status. */
export async function mbox(argv: readonly string[], { out, err }: Surroundings): Promise<number> {
  const say = (text: string) => err.write(`mbox: ${text}\n`)
  try {
    return await act(parse(argv), out, say)
  } catch (error) {
    if (error instanceof UsageError) {
      say(`${error.message}; mbox help shows what there is`)
      return exitCodes.usage
    }
    if (error instanceof ConfigError) {
      say(error.message)
      return exitCodes.config
    }
    say((error as Error).message)
    return error instanceof StartError ? error.exitCode : 1
  }
}

function parse(argv: readonly string[]): Command {
  let parsed: ReturnType<typeof read>
  try {
    parsed = read(argv)
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  const { values, positionals } = parsed
  const [word, ...words] = positionals
  if (values.help || word === undefined) return { verb: 'help', words: [], configFile: undefined, json: false }
  const verb = verbs.find((verb) => verb === word)
  if (verb === undefined) throw new UsageError(`${JSON.stringify(word)} is none of ${verbs.join(', ')}`)
  const json = values.json ?? false
  if (json && !takesJson.includes(verb)) throw new UsageError(`--json goes with ${takesJson.join(', ')}`)
  return { verb, words, configFile: values.c === undefined ? undefined : resolve(values.c), json }
}

const read = (argv: readonly string[]) =>
  parseArgs({
    args: [...argv],
    strict: true,
    allowPositionals: true,
    options: { c: { type: 'string', short: 'c' }, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  })

function servicesOf({ verb, words }: Command): readonly ServiceName[] {
  const unknown = words.find((word) => !isService(word))
  if (unknown !== undefined)
    throw new UsageError(`${verb}: ${JSON.stringify(unknown)} is none of ${serviceNames.join(', ')}`)
  return serviceNames.filter((service) => words.includes(service))
}

async function act(command: Command, out: Writable, say: (text: string) => void): Promise<number> {
  const { verb, words, configFile, json } = command
  switch (verb) {
    case 'help':
      out.write(usage)
      return 0
    case 'completion':
      if (words.length !== 1 || words[0] !== 'bash') throw new UsageError('completion is there for bash')
      out.write(bashCompletion)
      return 0
    case 'run':
      if (words.length > 0) throw new UsageError('run takes no services; mbox enable says which')
      return run(command, out)
    case 'start':
      return start(command, say)
    case 'stop':
      return stop(command, say)
    case 'status':
      return status(command, out, say)
    case 'enable':
    case 'disable': {
      const services = servicesOf(command)
      if (services.length === 0) throw new UsageError(`${verb} takes services: ${serviceNames.join(', ')}`)
      const enabled = await setEnabled(configFile, services, verb === 'enable')
      out.write(
        `enabled: ${enabled.join(' ') || 'none'} (${enabledFile(configFile)}); mbox stop and mbox start apply it\n`,
      )
      return 0
    }
    case 'check-config': {
      const { file, findings } = await checkInstallation(configFile)
      if (json) out.write(`${JSON.stringify(findings)}\n`)
      else for (const finding of findings) out.write(`${finding.severity}: ${formatFinding(finding)}\n`)
      const wrong = findings.some(({ severity }) => severity === 'error')
      const what = file ?? `no ${defaultConfigFile}: built-in defaults`
      if (!json) out.write(`${what}: ${wrong ? 'the services can not run so' : 'the configuration can be used'}\n`)
      return wrong ? exitCodes.config : 0
    }
  }
}

/** Throws ConfigError where every login would fail. GW-02 */
function refuseHalfGateway(config: Config, services: readonly ServiceName[], configFile: string | undefined): void {
  const fault = gatewayFault(config, services, configFile)
  if (fault !== undefined) throw new ConfigError([fault])
}

async function run({ configFile, json }: Command, out: Writable): Promise<number> {
  const { config } = await loadConfig(configFile)
  const services = await enabledServices(configFile)
  if (services.length === 0) throw new UsageError('no service is enabled')
  refuseHalfGateway(config, services, configFile)
  const log = makeLog({ daemon: 'mbox', label: undefined, target: stderrTarget, format: 'text', least: 'info' })
  const missing = missingUser(config)
  if (missing !== undefined) log.log('warning', 'running as root', { reason: missing })
  // Listened to from the start: a signal in between must not leave anybody behind.
  const asked = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  const running = await superviseServices({
    sets: [{ configFile, services }],
    log,
    onOutput: (line) => process.stderr.write(line),
  })
  process.on('SIGHUP', running.reload)
  log.log('notice', 'all services answer')
  if (json) {
    const addresses = running.addresses.flat().map(({ service, at }) => ({ service, ...at }))
    out.write(`${JSON.stringify({ ready: true, addresses })}\n`)
  }
  await Promise.race([asked, running.ended])
  await running.stop()
  return 0
}

async function start(command: Command, say: (text: string) => void): Promise<number> {
  const { configFile } = command
  const { config } = await loadConfig(configFile)
  const named = servicesOf(command)
  const wanted = named.length > 0 ? named : await enabledServices(configFile)
  if (named.length === 0) refuseHalfGateway(config, wanted, configFile)
  const services = statusOf(config.get('run_dir'), wanted).filter(({ service }) => wanted.includes(service))
  const stopped = services.filter(({ state }) => state.kind === 'stopped')
  const results: boolean[] = []
  for (const { service, state } of services)
    if (state.kind === 'unknown') {
      say(`${service} is not started, for it may be running: ${state.reason}`)
      results.push(false)
    }
  for (const group of [['mseventd'], serviceNames.filter((name) => name !== 'mseventd')])
    results.push(
      ...(await Promise.all(
        stopped
          .filter(({ service }) => group.includes(service))
          .map(async ({ service }) => {
            const started = await startService(service, configFile)
            say(started ? `${service} runs` : `${service} is not running`)
            return started
          }),
      )),
    )
  if (results.length === 0) say('all of them run already')
  return results.every(Boolean) ? 0 : 1
}

async function stop(command: Command, say: (text: string) => void): Promise<number> {
  const { config } = await loadConfig(command.configFile)
  const named = servicesOf(command)
  const services = statusOf(config.get('run_dir'), []).filter(
    ({ service, state }) => state.kind !== 'stopped' && (named.length === 0 || named.includes(service)),
  )
  let done = true
  for (const group of [serviceNames.filter((name) => name !== 'mseventd'), ['mseventd']])
    await Promise.all(
      services
        .filter(({ service }) => group.includes(service))
        .map(async ({ service, state }) => {
          if (state.kind === 'stopped') return
          const failure =
            state.kind === 'running'
              ? await stopService(service, state.pid, systemClock)
              : `${service} may be running: ${state.reason}`
          say(failure ?? `${service} stopped`)
          done &&= failure === undefined
        }),
    )
  if (services.length === 0) say('nothing runs')
  return done ? 0 : 1
}

/** Exit status 3 while an enabled service does not run, 4 where that can't be told; LSB has the same numbers. */
async function status({ configFile, json }: Command, out: Writable, say: (text: string) => void): Promise<number> {
  const { config } = await loadConfig(configFile)
  const services = statusOf(config.get('run_dir'), await enabledServices(configFile))
  if (json) out.write(`${JSON.stringify(services.map(statusJson))}\n`)
  else
    for (const { service, enabled, state } of services) {
      const shown = state.kind === 'running' ? `running (${state.pid})` : state.kind
      out.write(`${service.padEnd(9)} ${enabled ? 'enabled ' : 'disabled'} ${shown}\n`)
    }
  for (const { service, state } of services) if (state.kind === 'unknown') say(`${service}: ${state.reason}`)
  if (services.some(({ state }) => state.kind === 'unknown')) return 4
  return services.every(({ enabled, state }) => !enabled || state.kind === 'running') ? 0 : 3
}

const statusJson = ({ service, enabled, state }: ServiceStatus) => ({
  service,
  enabled,
  state: state.kind,
  pid: state.kind === 'running' ? state.pid : null,
})
