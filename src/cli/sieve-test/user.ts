/** What lmtpd would run for a user, and what his scripts could ask, without doing anything. */

import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { openAccountSource } from '../../auth/account-source.ts'
import { canonicalUserId, defaultDomain, findUserId } from '../../auth/user-id.ts'
import { systemClock } from '../../base/clock.ts'
import type { UserId } from '../../base/ids.ts'
import { silentLog } from '../../base/log.ts'
import type { Config } from '../../config/config.ts'
import { loadConfig } from '../../config/ms-conf.ts'
import { environmentOf } from '../../delivery/filter/environment.ts'
import { mailboxesOf } from '../../delivery/filter/mailboxes.ts'
import { Remembered } from '../../delivery/filter/remembered.ts'
import { openTrack } from '../../server/delivery.ts'
import { filterSettings } from '../../server/filter.ts'
import { storePlaces } from '../../server/mail-store.ts'
import { Hierarchy } from '../../sharing/hierarchy.ts'
import { sharingOf } from '../../sharing/sharing.ts'
import { compile } from '../../sieve/compile.ts'
import type { Environment, Script, ScriptProblem } from '../../sieve/types.ts'
import { scriptsOf } from '../../store/scripts.ts'
import { openStore } from '../../store/store.ts'

/** There is nothing to be told of this user. */
export class CannotTell extends Error {
  override readonly name = 'CannotTell'
}

export interface Scene {
  readonly userId: UserId
  readonly scripts: readonly Script[]
  readonly environment: Environment
  /** Scripts that would not be run, and why. */
  readonly problems: readonly { readonly whose: string; readonly problem: ScriptProblem }[]
}

interface Given {
  readonly configFile: string | undefined
  /** In the place of the active one. */
  readonly script: Script | undefined
  readonly recipient: string | undefined
  readonly become: ((config: Config) => void) | undefined
}

/** Throws CannotTell; ConfigError; StoreError. */
export async function withUser<T>(user: string, given: Given, work: (scene: Scene) => Promise<T>): Promise<T> {
  const { config } = await loadConfig(given.configFile)
  given.become?.(config)
  const domain = defaultDomain(config, undefined)
  const userId = canonicalUserId(user, domain)
  const parts = { config: () => config, clock: systemClock, log: silentLog }
  const accounts = openAccountSource({ config, log: silentLog, clock: systemClock })
  const store = openStore({ ...storePlaces(config, accounts), clock: systemClock, log: silentLog })
  const track = openTrack(parts)
  try {
    const account = store.account(userId)
    if (!(await account.exists())) throw new CannotTell(`there is no mail of ${userId}`)
    const settings = filterSettings(config)
    if (!settings.enabled) throw new CannotTell('enable_sieve is false: no script is run')
    const sharing = sharingOf(config)
    const hierarchy = new Hierarchy(userId, store, () => sharing, silentLog)
    const address = given.recipient ?? userId
    const environment = environmentOf({
      transaction: { id: 'test', sender: '', parameters: new Map(), trace: undefined, receivedAt: 0, recipients: [] },
      recipient: {
        address,
        parameters: new Map(),
        detail: undefined,
        userId,
        account,
        mailbox: 'INBOX',
        adding: (_octets, add) => add(),
      },
      mailboxes: mailboxesOf(account, hierarchy, () => settings.annotations),
      turn: new Remembered(track, silentLog).of(userId),
      nowMs: systemClock.now(),
      maxRedirects: settings.maxRedirects,
      globalScript: settings.globalScript,
      domain,
      hostName: hostname(),
      groupsOf: (other) => {
        const found = findUserId(other, domain)
        return found === undefined ? new Set() : sharing.identityOf(found).groups
      },
    })
    const scripts: Script[] = []
    const problems: { readonly whose: string; readonly problem: ScriptProblem }[] = []
    const take = (whose: string, octets: Buffer) => {
      const compiled = compile(octets)
      if ('script' in compiled) scripts.push(compiled.script)
      else problems.push({ whose, problem: compiled.errors[0]! })
    }
    if (settings.globalScript !== undefined) take('global_sieve_script', await readFile(settings.globalScript))
    const active = await scriptsOf(account).findActive()
    if (given.script !== undefined) scripts.push(given.script)
    else if (active !== undefined) take(active.name, Buffer.from(active.text))
    return await work({ userId, scripts, environment, problems })
  } finally {
    await track.close()
    await store.close()
    await accounts.close()
  }
}
