/** What another room adds to ms_syncd: questions that it answers, and work of its own. The gateway knows none of them. */
import type { AccountSource } from '#src/auth/account-source.ts'
import type { Config } from '#src/config/config.ts'
import type { Json } from '#src/events/types.ts'
import type { Runtime } from '#src/server/types.ts'
import type { Gateway } from './gateway.ts'

export interface ExtensionParts {
  readonly runtime: Runtime
  readonly gateway: Gateway
  readonly accounts: AccountSource
  /** A directory beside the mail, for all nodes of the store; whoever uses it makes it. */
  readonly shared: (name: string) => string
}

export interface Extension {
  /** Undefined: not a question for this one. A refusal is an answer; what else goes wrong is thrown. */
  answer(request: Json, signal: AbortSignal): Promise<Json> | undefined
  /** The gateway runs. It answers before that. */
  started?(): Promise<void>
  /** Behind the gateway's own. */
  reload(config: Config): Promise<void>
  /** Before the gateway's own. */
  stop(): Promise<void>
}

export type OpenExtension = (parts: ExtensionParts) => Promise<Extension>
