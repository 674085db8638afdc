/** A process that serves: the daemon with its surroundings, from start to stop. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { systemClock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Config } from '../config/config.ts'
import { diffConfig } from '../config/config.ts'
import { formatFinding } from '../config/finding.ts'
import { loadConfig } from '../config/ms-conf.ts'
import { type OptionName, optionOf } from '../config/options.ts'
import { connectEvents } from '../events/client.ts'
import { noEvents } from '../events/none.ts'
import type { EventBus, Presence } from '../events/types.ts'
import { limitAlgorithms } from './approved-algorithms.ts'
import { eventsOf } from './events-address.ts'
import { becomeMsUser, dropRoot } from './ms-user.ts'
import { exitCodes, onStopSignal, type Process, roleVariable } from './process.ts'
import { refreshOf } from './refresh.ts'
import { report } from './supervision.ts'
import type { Daemon, RunningDaemon, Runtime } from './types.ts'

/** For sessions to say goodbye. */
export const stopGraceMs = 10_000

/** How msstat calls the services that it lists. MON-01; ms_syncd announces itself. */
const shownAs: Partial<Record<Daemon['name'], Presence['service']>> = {
  imapd: 'imap',
  pop3d: 'pop3',
  lmtpd: 'lmtp',
}

/** Which of its service's workers a process is. */
export interface WorkerPlace {
  readonly index: number
  readonly count: number
  /** It takes the place of a dead one. */
  readonly again: boolean
}

/** Ends the process when the service has stopped. Throws when it can't start. */
export async function runWorker(own: Process, { index, count, again }: WorkerPlace): Promise<void> {
  const { daemon, args, config, log } = own
  dieOfDefects(own)
  limitAlgorithms(config)
  becomeMsUser(config)
  let stopping = false
  const { events, renew } = await eventsFor(own, () => stopping)
  const runtime: Runtime = {
    config,
    log,
    clock: systemClock,
    events,
    firstWorker: index === 0,
    sharedPorts: count > 1,
    replacement: again,
  }
  const running = await daemon.start(runtime)
  dropRoot()
  const service = shownAs[daemon.name]
  const announcement = service && index === 0 ? events.announce({ service }) : undefined
  const stop = () => {
    if (stopping) return
    stopping = true
    log.log('info', 'stopping')
    announcement?.withdraw()
    running
      .stop(stopGraceMs)
      .then(() => events.close())
      .then(
        () => process.exit(0),
        (error) => crash(own, error),
      )
  }
  onStopSignal(stop)
  // Nobody is left who would restart it, or stop it.
  if (process.env[roleVariable] !== 'background') process.on('disconnect', stop)
  let reloading = Promise.resolve()
  let inForce = config
  const reload = () => {
    reloading = reloading
      .then(async () => {
        own.reopenLog()
        const { config: next, warnings } = await loadConfig(args.configFile)
        if (index === 0) for (const finding of warnings) log.log('warning', formatFinding(finding))
        const applyCertificates = await renew(next)
        inForce = await takeIn(own, running, inForce, next)
        applyCertificates()
      })
      .catch((error: Error) => {
        log.log('err', 'the configuration is not reloaded; the one from before stays in force', {
          reason: error.message,
        })
      })
  }
  process.on('SIGHUP', reload)
  refreshOf(own, reload)
  // For the next process: one that is killed would not leave its share.
  flushCompileCache()
  await report({ type: 'ready', addresses: running.addresses ?? [] })
  if (count === 1) log.log('notice', 'running')
}

interface Events {
  readonly events: EventBus
  /** Reads the certificates for connections to mseventd again; the answer puts them in force. Throws TlsError. */
  renew(next: Config): Promise<() => void>
}

/** Whoever stops everything stops mseventd too: that it is gone is no news then. */
async function eventsFor({ daemon, config, log }: Process, isStopping: () => boolean): Promise<Events> {
  if (daemon.name === 'mseventd') return { events: noEvents, renew: async () => () => {} }
  const options = {
    ...(await eventsOf(config)),
    clock: systemClock,
    log: silencedBy(isStopping, log),
    name: daemon.name,
  }
  return {
    events: connectEvents(options),
    async renew(next) {
      // Whether TLS is spoken at all changes with a restart (msevent_tls).
      const renewed = options.tls && next.get('msevent_tls') ? (await eventsOf(next)).tls : undefined
      return () => {
        options.tls = renewed ?? options.tls
      }
    },
  }
}

const silencedBy = (isSilent: () => boolean, log: Log): Log => ({
  log: (severity, message, fields) => isSilent() || log.log(severity, message, fields),
  child: (fields) => silencedBy(isSilent, log.child(fields)),
})

/** Files that a reload reads again, whether their names changed or not. */
const reread = ['ms_sync_userdb', 'tls_cert_file', 'tls_key_file', 'tls_ca_file', 'tls_ca_path'] as const

/** Answers the configuration in force from now on. */
async function takeIn({ daemon, log }: Process, running: RunningDaemon, before: Config, next: Config): Promise<Config> {
  const { changed, restart } = diffConfig(before, next)
  const concerns = (name: OptionName) => optionOf(name).services.some((service) => service === daemon.name)
  const concerned = changed.filter(concerns)
  const further = await running.reload(next)
  const left = new Set([...restart.filter((name) => concerned.includes(name)), ...further])
  const files = reread
    .filter((name) => concerns(name))
    .flatMap((name) => next.all(name))
    .filter((path) => existsSync(path))
  const fields = {
    changed: concerned.join(' ') || 'no option',
    read: [next.file, ...files].filter((path) => path !== undefined).join(' ') || undefined,
  }
  if (left.size === 0) log.log('notice', 'configuration reloaded', fields)
  else
    log.log('warning', 'configuration reloaded; some changes need a restart', {
      ...fields,
      restart: [...left].join(' '),
    })
  return next
}

/** A defect ends this process: its state can't be trusted. The starter runs another. */
function dieOfDefects(own: Process): void {
  process.on('uncaughtException', (error) => crash(own, error))
  process.on('unhandledRejection', (reason) => crash(own, reason))
}

function crash({ log }: Process, error: unknown): never {
  log.log('crit', 'defect: this process ends', {
    incident: randomBytes(6).toString('hex'),
    error: error instanceof Error ? error.stack : String(error),
  })
  process.exit(exitCodes.software)
}
