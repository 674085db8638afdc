/** ms_syncd: asks backends about logins, and keeps mailboxes in step with them. Gateway, migration and synchronisation mode. GW-01 to GW-26, MIG-01 to MIG-07, SYN-01 to SYN-04 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { getCACertificates } from 'node:tls'
import { openAccountSource } from '#src/auth/account-source.ts'
import { loadUserDatabase, type UserDatabase } from '#src/config/backends.ts'
import type { Config } from '#src/config/config.ts'
import { formatFinding } from '#src/config/finding.ts'
import type { Json } from '#src/events/types.ts'
import { type Consents, openConsents } from '#src/oauth/consents.ts'
import { openMailStore } from '#src/server/mail-store.ts'
import { exitCodes } from '#src/server/process.ts'
import { StartError } from '#src/server/supervision.ts'
import type { Daemon, RunningDaemon, Runtime } from '#src/server/types.ts'
import { gatewayName } from '#src/store/places.ts'
import type { BackendAccess } from '../backend/open-backend.ts'
import { BackendProfiles } from '../backend/profile.ts'
import { ProfileFiles } from '../backend/profile-files.ts'
import type { TlsTrust } from '../backend/tls.ts'
import { BackendTokens } from '../backend/tokens.ts'
import { authenticate, serviceName } from './authenticate.ts'
import { bringAnswer, isBringRequest } from './bring-request.ts'
import type { Extension, OpenExtension } from './extension.ts'
import { Gateway } from './gateway.ts'
import { Passages } from './passages.ts'
import { placeOfProcess, Shares } from './shares.ts'
import { isStatusRequest, statusAnswer } from './status-request.ts'

/** One process: the passwords of users who are connected are in its memory, and nowhere else. */
export const msSyncd = (...extensions: readonly OpenExtension[]): Daemon => ({
  name: 'ms_syncd',
  workers: 'one',
  start: (runtime) => start(runtime, extensions),
})

async function start(runtime: Runtime, extensions: readonly OpenExtension[]): Promise<RunningDaemon> {
  const { config, log, clock, events } = runtime
  checkMode(config)
  const readUsers = async (from: Config): Promise<UserDatabase> => {
    const { database, warnings } = await loadUserDatabase(from)
    for (const warning of warnings) log.log('warning', formatFinding(warning))
    return database
  }
  const accounts = openAccountSource({ config, log, clock })
  const profiles = new BackendProfiles()
  const readAccess = async (from: Config): Promise<BackendAccess> => {
    const trust = await trustOf(from)
    const tokens = new BackendTokens(await consentsOf(from), clock)
    return { profiles, tokens, ...(trust === undefined ? {} : { trust }) }
  }
  const [users, access] = [await readUsers(config), await readAccess(config)]
  const store = openMailStore(runtime)
  const shared = (name: string) => join(store.roots[0]!, gatewayName, name)
  const profileFiles = await ProfileFiles.open(shared('hosts'), profiles, clock, log)
  const passages = new Passages({ path: join(config.get('run_dir'), 'ms_syncd.passages'), clock, log })
  const gateway = new Gateway({
    config,
    users,
    store,
    events,
    access,
    clock,
    log,
    accounts,
    passages,
    joinShares: async (parts) =>
      Shares.join({ directory: shared('shares'), clock, log, place: await placeOfProcess(), ...parts }),
    keepProfile: (key, profile) => profileFiles.touch(key, profile),
  })
  const opened: Extension[] = []
  for (const open of extensions) opened.push(await open({ runtime, gateway, accounts, shared }))
  const answer = async (request: Json, signal: AbortSignal): Promise<Json> => {
    if (isStatusRequest(request)) return await statusAnswer(gateway, request)
    if (isBringRequest(request)) return await bringAnswer(gateway, request)
    for (const extension of opened) {
      const answered = extension.answer(request, signal)
      if (answered !== undefined) return await answered
    }
    return await authenticate(gateway, request)
  }
  // In this order: sessions of an earlier ms_syncd are told of this one before it lets anybody in (src/events/replacement.ts).
  const announcement = events.announce({ service: 'gw' })
  const unserve = events.serve(serviceName, answer)
  await gateway.start()
  for (const extension of opened) await extension.started?.()
  return {
    async stop() {
      unserve()
      announcement.withdraw()
      for (const extension of opened.toReversed()) await extension.stop()
      await gateway.stop()
      await passages.stop()
      await profileFiles[Symbol.asyncDispose]()
      await store.close()
      await accounts.close()
    },
    async reload(next) {
      checkMode(next)
      store.reload(next)
      accounts.reload(next)
      await gateway.reload({
        config: next,
        users: await readUsers(next),
        access: await readAccess(next),
        accounts,
      })
      for (const extension of opened) await extension.reload(next)
      return []
    },
  }
}

/** GW-01, SYN-02. Throws StartError. */
function checkMode(config: Config): void {
  const [gateway, migration, sync] = (['gateway_mode', 'auto_migrate', 'sync_mode'] as const).map((mode) =>
    config.get(mode),
  )
  if (gateway && migration)
    throw new StartError('gateway_mode and auto_migrate are both true: set one of them to false', exitCodes.config)
  if (!gateway && !migration && !sync)
    throw new StartError(
      'none of gateway_mode, auto_migrate and sync_mode is true, so there is nothing to synchronise: set one of them to true, or disable ms_syncd (mbox disable ms_syncd)',
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

/** Throws StartError for a key that can't be used. */
const consentsOf = (config: Config): Promise<Consents> =>
  openConsents(config).catch((cause: Error) => {
    throw new StartError(cause.message, exitCodes.config)
  })
