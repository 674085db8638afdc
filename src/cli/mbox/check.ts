/** `mbox check-config`: the files, and whether the enabled services could run with them on this machine. */
import { closeSync, existsSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Config, findingAt } from '../../config/config.ts'
import type { Finding } from '../../config/finding.ts'
import { type Listener, type ListenerService, listenersOf } from '../../config/listeners.ts'
import { checkConfig, defaultConfigFile, errorsFirst } from '../../config/ms-conf.ts'
import { Sealer } from '../../config/sealer.ts'
import { describe } from '../../server/listener.ts'
import { asMsUser, ownDirectoryFault, userFault } from '../../server/ms-user.ts'
import { checkTls } from '../../server/tls.ts'
import { enabledFile, enabledServices, type ServiceName } from './services.ts'

/** Everything that is to say, errors first. `file` is undefined for built-in defaults. */
export async function checkInstallation(
  configFile: string | undefined,
): Promise<{ readonly file: string | undefined; readonly findings: readonly Finding[] }> {
  const { config, findings } = await checkConfig(configFile)
  if (config === undefined) return { file: configFile ?? defaultConfigFile, findings }
  const services = await enabledServices(configFile).catch((error: Error) => error)
  const enabled = services instanceof Error ? [] : services
  const all = [
    ...findings,
    ...(services instanceof Error ? [enabledFault(configFile, services)] : []),
    ...gatewayFaults(config, enabled, configFile),
    ...(await tlsFaults(config)),
    ...(await keyFaults(config)),
    ...portFaults(config, enabled),
    ...userFaults(config),
    ...(['run_dir', 'userdir'] as const).flatMap((option) => directoryFaults(config, option)),
  ]
  return { file: config.file, findings: errorsFirst(all) }
}

const enabledFault = (configFile: string | undefined, { message }: Error): Finding => ({
  severity: 'error',
  file: enabledFile(configFile),
  line: undefined,
  option: undefined,
  message,
})

/** GW-02: the gateway, like synchronisation, is an option and a service, and does nothing with one of them alone. Undefined when both are there, or neither. */
export function gatewayFault(
  config: Config,
  enabled: readonly ServiceName[],
  configFile: string | undefined,
): Finding | undefined {
  const mode = (['gateway_mode', 'auto_migrate', 'sync_mode'] as const).find((name) => config.get(name))
  if (mode === undefined || enabled.includes('ms_syncd')) return undefined
  const command = `mbox ${configFile === undefined ? '' : `-c ${configFile} `}enable ms_syncd`
  return findingAt(
    config,
    'error',
    mode,
    `is true, but the service ms_syncd, which asks the backends, is not enabled; run: ${command}`,
  )
}

const gatewayFaults = (...facts: Parameters<typeof gatewayFault>) => {
  const fault = gatewayFault(...facts)
  return fault === undefined ? [] : [fault]
}

/** Whether secrets could be opened with the keys. A file that can't be read has been told already. */
const keyFaults = async (config: Config): Promise<readonly Finding[]> => {
  const options = ['oauth_key_file', 'migration_key_file'] as const
  const findings = options.map((option) =>
    Sealer.from(config, option, '').then(
      () => [],
      ({ message, cause }: Error) => (cause === undefined ? [findingAt(config, 'error', option, message)] : []),
    ),
  )
  return (await Promise.all(findings)).flat()
}

async function tlsFaults(config: Config): Promise<readonly Finding[]> {
  const fault = await checkTls(config)
  if (fault !== undefined) return [fault]
  // Root could read them, ms_user has to.
  return (['tls_cert_file', 'tls_key_file', 'tls_ca_file', 'oauth_key_file', 'migration_key_file'] as const).flatMap(
    (option) =>
      config.all(option).flatMap((path) => {
        try {
          asMsUser(config, () => closeSync(openSync(path, 'r')))
          return []
        } catch (error) {
          const { code } = error as NodeJS.ErrnoException
          const message = `${path} can't be read by ${config.get('ms_user')}, whom the services run as (${code}); let that user or its group read it`
          return [findingAt(config, 'error', option, message)]
        }
      }),
  )
}

/** What each service listens at with this configuration. */
const listenersIn = (config: Config): Readonly<Record<ServiceName, readonly ListenerService[]>> => ({
  mseventd: ['msevent'],
  imapd: config.get('enable_imaps') ? ['imap', 'imaps'] : ['imap'],
  pop3d: config.get('enable_pop3s') ? ['pop3', 'pop3s'] : ['pop3'],
  lmtpd: ['lmtp'],
  sieved: ['sieve'],
  ms_syncd: [],
  msadmind: [],
})

function portFaults(config: Config, enabled: readonly ServiceName[]): readonly Finding[] {
  const faults: Finding[] = []
  const taken: { readonly scheme: ListenerService; readonly at: Listener }[] = []
  const schemes = enabled.flatMap((service) => listenersIn(config)[service])
  for (const scheme of schemes)
    for (const at of listenersOf(config, scheme)) {
      const other = taken.find((before) => meet(before.at, at))
      if (other !== undefined)
        faults.push(
          findingAt(
            config,
            'error',
            config.isSet(`${scheme}_port`) ? `${scheme}_port` : `${scheme}_host`,
            `${describe(at)} is taken by ${other.scheme}_host and ${other.scheme}_port (${describe(other.at)}); choose another port`,
          ),
        )
      taken.push({ scheme, at })
    }
  return faults
}

const everyInterface = ['', '::', '0.0.0.0']

/** Whether two listeners are in each other's way. Port 0 is never: the system finds a free one. */
const meet = (one: Listener, other: Listener): boolean =>
  'path' in one || 'path' in other
    ? 'path' in one && 'path' in other && one.path === other.path
    : one.port !== 0 &&
      one.port === other.port &&
      (one.host === other.host || [one, other].some(({ host }) => everyInterface.includes(host)))

function userFaults(config: Config): readonly Finding[] {
  const fault = userFault(config)
  return fault === undefined ? [] : [findingAt(config, 'warning', 'ms_user', fault)]
}

/** A directory that is missing is made at the start where its parent is there. */
function directoryFaults(config: Config, option: 'run_dir' | 'userdir'): readonly Finding[] {
  const path = config.get(option)
  const parent = dirname(path)
  const isMissing = !existsSync(path)
  const willBeMade = isMissing && existsSync(parent) && statSync(parent).isDirectory()
  if (willBeMade) return []
  const fault = isMissing
    ? `${path} is not there, and neither is its parent; make it for the user of the services: install -d -o ${config.get('ms_user')} ${path}`
    : asMsUser(config, () => ownDirectoryFault(config, option))
  return fault === undefined ? [] : [findingAt(config, 'warning', option, fault)]
}
