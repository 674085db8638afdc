/** ms_syncd: asks backends about logins, and keeps mailboxes in step with them. Gateway mode. GW-01 to GW-26 */
import { readFile } from 'node:fs/promises'
import { getCACertificates } from 'node:tls'
import { StoreError } from '#src/base/errors.ts'
import { loadUserDatabase, type UserDatabase } from '#src/config/backends.ts'
import type { Config } from '#src/config/config.ts'
import { formatFinding } from '#src/config/finding.ts'
import { runDaemon } from '#src/server/daemon.ts'
import { exitCodes } from '#src/server/process.ts'
import { StartError } from '#src/server/supervision.ts'
import type { Daemon, RunningDaemon, Runtime } from '#src/server/types.ts'
import { openStore } from '#src/store/store.ts'
import type { TlsTrust } from '../backend/pop3/connection.ts'
import { BackendProfiles } from '../backend/profile.ts'
import { authenticate, serviceName } from './authenticate.ts'
import { Gateway } from './gateway.ts'

export const msSyncd: Daemon = { name: 'ms_syncd', workers: 'one', start }

async function start({ config, log, clock, events }: Runtime): Promise<RunningDaemon> {
  checkMode(config)
  const readUsers = async (from: Config): Promise<UserDatabase> => {
    const { database, warnings } = await loadUserDatabase(from)
    for (const warning of warnings) log.log('warning', formatFinding(warning))
    return database
  }
  const users = await readUsers(config)
  const trust = await trustOf(config)
  const store = openStore({
    root: config.get('userdir'),
    clock,
    log,
    summarize: () => {
      throw new StoreError('unavailable', 'ms_syncd looks into no message')
    },
    onCommit: ({ userId, mailbox, added, updated, expunged }) =>
      events.publish({ topic: `mbox:${userId}`, name: 'mailbox', fields: { mailbox, added, updated, expunged } }),
  })
  const access = { profiles: new BackendProfiles(), ...(trust === undefined ? {} : { trust }) }
  const gateway = new Gateway({ config, users, store, events, access, clock, log })
  const unserve = events.serve(serviceName, (request) => authenticate(gateway, log, request))
  return {
    async stop() {
      unserve()
      await gateway.stop()
      await store.close()
    },
    async reload(next) {
      checkMode(next)
      gateway.reload(next, await readUsers(next))
      return []
    },
  }
}

/** GW-01, and what this version does not do. Throws StartError. */
function checkMode(config: Config): void {
  const gateway = config.get('gateway_mode')
  if (gateway && config.get('auto_migrate'))
    throw new StartError('gateway_mode and auto_migrate are both true: set one of them to false', exitCodes.config)
  if (!gateway)
    throw new StartError(
      'gateway_mode is false, so there is nothing to synchronise: set it to true, or disable ms_syncd (mbox disable ms_syncd)',
      exitCodes.config,
    )
}

/** The system's authorities and those of tls_ca_file; undefined: only the former, which is Node's default. */
async function trustOf(config: Config): Promise<TlsTrust | undefined> {
  const file = config.get('tls_ca_file')
  if (file === undefined) return undefined
  const pem = await readFile(file, 'utf8').catch((cause: Error) => {
    throw new StartError(`tls_ca_file: ${file} can not be read: ${cause.message}`, exitCodes.config)
  })
  return { ca: [...getCACertificates('default'), pem] }
}

if (import.meta.main) await runDaemon(msSyncd)
