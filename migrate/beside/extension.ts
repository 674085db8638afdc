/** What old servers have beside mail, in ms_syncd: taken over at the end of each migration. docs/decisions/0286-quota-and-rights-of-the-old-server.md */
import type { Extension, ExtensionParts } from '#gateway/ms_syncd/extension.ts'
import type { BringBeside } from '#gateway/ms_syncd/migration-journal.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { Config } from '#src/config/config.ts'
import { type AwaitedRights, AwaitedRightsDirectory, awaitedRightsName } from '#src/sharing/awaited-rights.ts'
import type { Migrations } from '../records/migrations.ts'
import { accountToBe } from '../waves/inventory.ts'
import { bring } from './bring.ts'
import { Findings, maxLines } from './findings.ts'
import { ownLimits } from './limits.ts'
import { awaitedText, giveAwaited, type RightsParts } from './rights.ts'

type Kept = Pick<Migrations, 'records'>
type Parts = RightsParts & Pick<ExtensionParts, 'gateway' | 'accounts'>

export const beside = async (parts: ExtensionParts, migrations: Kept): Promise<Extension> =>
  new BesideMail(parts, migrations)

class BesideMail implements Extension {
  readonly #parts: Parts
  readonly #records: Kept['records']
  readonly #work = new Set<Promise<void>>()
  #config: Config
  #isStopping = false

  constructor({ runtime, gateway, accounts, shared }: ExtensionParts, { records }: Kept) {
    this.#config = runtime.config
    this.#records = records
    this.#parts = { gateway, accounts, awaited: new AwaitedRightsDirectory(shared(awaitedRightsName)) }
    gateway.keepBeside((...asked) => this.#bring(...asked))
    gateway.onMigrated(({ userId }) => this.#run(() => this.#arrived(userId)))
  }

  readonly #bring: BringBeside = async ({ userId, account }, backends, password, signal) => {
    const { gateway, accounts } = this.#parts
    const log = gateway.log.child({ user: userId })
    const { properties } = account
    const kept = this.#config.get('migration_keep')
    if (kept.length === 0) return properties
    const findings = new Findings()
    try {
      const { before, limits } = await accountToBe(accounts, this.#config, userId, properties)
      let own: typeof properties = []
      await bring(
        {
          parts: this.#parts,
          userId,
          backends,
          password,
          kept,
          config: this.#config,
          signal,
          onQuota: (there) => {
            // Of an account that is in use its user, or an operator, has said what he wants.
            if (before?.state !== 'enabled') own = ownLimits(there, limits, findings)
          },
        },
        findings,
      )
      return [...properties, ...own]
    } catch (error) {
      if (signal.aborted) return properties
      findings.notGiven((error as Error).message)
      return properties
    } finally {
      await this.#tell(userId, findings, log)
    }
  }

  async #tell(userId: UserId, findings: Findings, log: Log): Promise<void> {
    const { given, notGiven } = findings.all
    for (const line of given) log.log('info', 'taken over from the old server', { what: line })
    for (const line of notGiven) log.log('notice', 'not taken over from the old server', { what: line })
    await this.#records
      .change(userId, (was) => was && { ...was, beside: { given, notGiven } })
      .catch((error: Error) =>
        log.log('err', 'the record of a migration could not be written', { reason: error.message }),
      )
  }

  async started(): Promise<void> {
    this.#run(async () => {
      for await (const rights of this.#parts.awaited.all()) {
        if (this.#isStopping) return
        const state = (await this.#records.find(rights.user))?.state
        if (state === 'migrated' || state === 'closed') await this.#give(rights)
      }
    })
  }

  /** Others may have given him rights before he came. */
  async #arrived(userId: UserId): Promise<void> {
    for await (const rights of this.#parts.awaited.for(userId)) await this.#give(rights)
  }

  async #give(rights: AwaitedRights): Promise<void> {
    const { user, owner } = rights
    if ((await this.#parts.accounts.find(user)) === undefined) return
    const lines = await giveAwaited(this.#parts, rights)
    for (const what of lines) this.#parts.gateway.log.log('info', 'taken over from the old server', { user, what })
    await this.#records.change(owner, (was) => {
      if (was?.beside === undefined) return was
      const { given, notGiven } = was.beside
      const rest = notGiven.filter((line) => !line.startsWith(awaitedText(user)))
      return { ...was, beside: { given: [...given, ...lines].slice(-maxLines), notGiven: rest } }
    })
  }

  /** What it is called from goes on. */
  #run(task: () => Promise<void>): void {
    const work = task().catch((error: Error) =>
      this.#parts.gateway.log.log('err', 'rights that users have at the old server are not given here', {
        reason: error.message,
      }),
    )
    this.#work.add(work)
    work.finally(() => this.#work.delete(work))
  }

  answer(): undefined {
    return undefined
  }

  async reload(config: Config): Promise<void> {
    this.#config = config
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#work)
  }
}
