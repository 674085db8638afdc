/** The services that `mbox` handles, and which of them are enabled. GW-02 */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { defaultConfigFile } from '../../config/ms-conf.ts'

/** In the order of their start: the others connect to mseventd. */
export const serviceNames = ['mseventd', 'imapd', 'pop3d', 'lmtpd', 'sieved', 'ms_syncd', 'msadmind'] as const
export type ServiceName = (typeof serviceNames)[number]

/** Until `mbox enable` or `mbox disable` says otherwise: those of the administration guide (7.1.2.2). The others have to be asked for. */
const enabledAtFirst: readonly ServiceName[] = ['mseventd', 'imapd', 'pop3d', 'lmtpd', 'sieved']

const root = resolve(import.meta.dirname, '../../..')

/** Module that runs the service, by whose path its processes are told (src/server/pid-file.ts). Not an import: the services live in other processes. */
export const mainOf = (service: ServiceName): string =>
  resolve(root, service === 'ms_syncd' ? 'migrate/ms_syncd/main.ts' : `src/${service}/main.ts`)

export const isService = (name: string): name is ServiceName => serviceNames.some((service) => service === name)

/** Beside the configuration, which it belongs to: `/etc/isode/ms.conf.services`. */
export const enabledFile = (configFile: string | undefined): string => `${configFile ?? defaultConfigFile}.services`

/** In the order of their start. Throws Error when the file can't be read or names something else. */
export async function enabledServices(configFile: string | undefined): Promise<readonly ServiceName[]> {
  const path = enabledFile(configFile)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return enabledAtFirst
    throw new Error(`${path} can't be read: ${(error as Error).message}`, { cause: error })
  }
  const names = text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
  const unknown = names.find((name) => !isService(name))
  if (unknown !== undefined)
    throw new Error(
      `${path}: ${JSON.stringify(unknown)} is none of ${serviceNames.join(', ')}; write one of them a line`,
    )
  return serviceNames.filter((name) => names.includes(name))
}

/** Answers what is enabled from now on. */
export async function setEnabled(
  configFile: string | undefined,
  changes: readonly ServiceName[],
  enable: boolean,
): Promise<readonly ServiceName[]> {
  const before = await enabledServices(configFile)
  const after = serviceNames.filter((name) => (changes.includes(name) ? enable : before.includes(name)))
  const path = enabledFile(configFile)
  const draft = `${path}.${process.pid}`
  const text = `# Services that mbox starts, one a line; see mbox enable and mbox disable.\n${after.join('\n')}\n`
  try {
    await writeFile(draft, text)
    await rename(draft, path)
  } catch (error) {
    const remedy =
      (error as NodeJS.ErrnoException).code === 'ENOENT'
        ? 'make its directory, or name the configuration with -c'
        : 'run mbox as root, or as the owner of the directory'
    throw new Error(`${path} can't be written: ${(error as Error).message}; ${remedy}`, { cause: error })
  }
  return after
}
