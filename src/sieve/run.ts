/** Runs compiled scripts on a message. RFC 5228 §2.10 */

import { setImmediate } from 'node:timers/promises'
import { cancelsKeep, conflict, withAction } from './actions.ts'
import { compileCached } from './cache.ts'
import { extensions } from './extensions/index.ts'
import type { Run } from './language.ts'
import { runLimits } from './limits.ts'
import { RunningMessage } from './message.ts'
import type {
  Action,
  Block,
  Compiled,
  Environment,
  Outcome,
  Position,
  Script,
  ScriptProblem,
  SieveMessage,
} from './types.ts'

/**
 * The scripts one after the other: the next is run as long as the message is still kept (implicitly or by `keep`), and then decides about the keep anew. Never rejects for what a
 * script does; what the environment throws comes through.
 */
export async function run(
  scripts: readonly Script[],
  message: SieveMessage,
  environment: Environment,
): Promise<Outcome> {
  const runner = new Runner(message, environment)
  try {
    for (const script of scripts) if (!(await runner.runScript(script))) break
    return { actions: runner.outcome(), warnings: runner.warnings }
  } catch (error) {
    if (!(error instanceof RunFault)) throw error
    return { actions: [{ type: 'keep', implicit: true }], error: error.problem, warnings: runner.warnings }
  }
}

class RunFault extends Error {
  override readonly name = 'RunFault'
  readonly problem: ScriptProblem

  constructor(problem: ScriptProblem) {
    super(problem.text)
    this.problem = problem
  }
}

/** What belongs to one script, included ones have their own. */
class Scope {
  readonly name: string | undefined
  readonly required: ReadonlySet<string>
  readonly enabled = new Set<string>()
  readonly variables = new Map<string, string>()
  readonly shared = new Set<string>()
  matched: readonly string[] = []

  constructor(name: string | undefined, required: ReadonlySet<string>) {
    this.name = name
    this.required = required
  }
}

interface Frame {
  readonly block: Block
  readonly scope: Scope
  at: number
}

const completing = extensions.flatMap(({ complete }) => complete ?? [])

class Runner implements Run {
  readonly environment: Environment
  readonly warnings: ScriptProblem[] = []
  message: RunningMessage
  #actions: readonly Action[] = []
  #isKeepCancelled = false
  /** What the script before has kept the message with; counts when this one does not say. */
  #kept: Action | undefined
  #redirects = 0
  readonly #frames: Frame[] = []
  #scope = new Scope(undefined, new Set())
  readonly #shared = new Map<string, string>()
  #stepsLeft: number
  #turnEnd: number

  constructor(message: SieveMessage, environment: Environment) {
    this.environment = environment
    this.message = new RunningMessage(message)
    this.#stepsLeft = environment.maxSteps ?? runLimits.steps
    this.#turnEnd = this.#stepsLeft - runLimits.turnSteps
  }

  /** Whether the message is still kept behind it. */
  async runScript({ main, required }: Script): Promise<boolean> {
    this.#kept = this.#actions.find(({ type }) => type === 'keep') ?? this.#kept
    this.#actions = this.#actions.filter(({ type }) => type !== 'keep')
    this.#isKeepCancelled = false
    this.#scope = new Scope(undefined, required)
    this.#frames.push({ block: main, scope: this.#scope, at: 0 })
    await this.#runFrames()
    return !this.#isKeepCancelled || this.#actions.some(({ type }) => type === 'keep')
  }

  outcome(): readonly Action[] {
    if (!this.#isKeepCancelled) {
      const { line, column } = { line: 1, column: 1 }
      this.act(this.#kept ?? { type: 'keep', implicit: true }, { line, column })
    }
    return this.#actions
  }

  async #runFrames(): Promise<void> {
    const { trace } = this.environment
    for (let frame = this.#frames.at(-1); frame !== undefined; frame = this.#frames.at(-1)) {
      const statement = frame.block[frame.at++]
      if (statement === undefined) {
        this.#frames.pop()
        this.#scope = this.#frames.at(-1)?.scope ?? this.#scope
        continue
      }
      this.spend(1)
      trace?.call(this.environment, statement.position, statement.name)
      const answer = statement.run(this)
      if (answer !== undefined) await answer
      if (this.isTired) await this.breathe()
    }
  }

  setMessage(message: SieveMessage): void {
    this.message = new RunningMessage(message)
  }

  get actions(): readonly Action[] {
    return this.#actions
  }

  act(action: Action, position: Position): void {
    let completed = action
    for (const complete of completing) completed = complete(completed, this)
    const { edited } = this.message
    if (
      edited !== undefined &&
      (completed.type === 'keep' || completed.type === 'fileinto' || completed.type === 'redirect')
    )
      completed = { ...completed, message: completed.message ?? edited }
    const actions = withAction(this.#actions, completed)
    const isNew = actions.length > this.#actions.length
    const problem = conflict(this.#actions, completed)
    if (problem !== undefined) this.fail(position, problem)
    if (
      isNew &&
      completed.type === 'redirect' &&
      ++this.#redirects > (this.environment.maxRedirects ?? runLimits.redirects)
    ) {
      this.warn(
        position,
        `this redirect is left out: a script may have ${this.environment.maxRedirects ?? runLimits.redirects}`,
      )
      return
    }
    if (actions.length > (this.environment.maxActions ?? runLimits.actions))
      this.fail(
        position,
        `more than ${this.environment.maxActions ?? runLimits.actions} actions: use fewer for one message`,
      )
    this.#actions = actions
    if (cancelsKeep(completed)) this.#isKeepCancelled = true
  }

  forgetActions(): void {
    this.#actions = []
    this.#isKeepCancelled = false
    this.#redirects = 0
  }

  get depth(): number {
    return this.#frames.length
  }

  leaveTo(depth: number): void {
    if (depth < this.#frames.length) this.#frames.length = depth
    this.#scope = this.#frames.at(-1)?.scope ?? this.#scope
  }

  cancelImplicitKeep(): void {
    this.#isKeepCancelled = true
  }

  enter(block: Block): void {
    this.#frames.push({ block, scope: this.#scope, at: 0 })
  }

  call({ main, required }: Script, name: string): void {
    this.#scope = new Scope(name, required)
    this.#frames.push({ block: main, scope: this.#scope, at: 0 })
  }

  leave(): void {
    const scope = this.#scope
    while (this.#frames.at(-1)?.scope === scope) this.#frames.pop()
    this.#scope = this.#frames.at(-1)?.scope ?? scope
  }

  stop(): void {
    this.#frames.length = 0
  }

  fail(position: Position, text: string): never {
    throw new RunFault(this.#problem(position, text))
  }

  warn(position: Position, text: string): void {
    if (this.warnings.length < runLimits.warnings) this.warnings.push(this.#problem(position, text))
  }

  #problem({ line, column }: Position, text: string): ScriptProblem {
    const { name } = this.#scope
    return { line, column, text, ...(name === undefined ? {} : { script: name }) }
  }

  spend(steps: number): void {
    this.#stepsLeft -= steps
    if (this.#stepsLeft >= 0) return
    const frame = this.#frames.at(-1)
    const position = frame?.block[frame.at - 1]?.position ?? { line: 1, column: 1 }
    this.fail(position, 'the script takes too long for this message: use fewer or simpler tests')
  }

  get isTired(): boolean {
    return this.#stepsLeft < this.#turnEnd
  }

  async breathe(): Promise<void> {
    await setImmediate()
    this.#turnEnd = this.#stepsLeft - runLimits.turnSteps
  }

  variable(name: string): string {
    const { shared, variables } = this.#scope
    return (shared.has(name) ? this.#shared : variables).get(name) ?? ''
  }

  setVariable(name: string, value: string): void {
    this.#set(this.#scope.shared.has(name) ? this.#shared : this.#scope.variables, name, value)
  }

  sharedVariable(name: string): string {
    return this.#shared.get(name) ?? ''
  }

  setSharedVariable(name: string, value: string): void {
    this.#set(this.#shared, name, value)
  }

  shareVariable(name: string): void {
    this.#scope.shared.add(name)
  }

  #set(variables: Map<string, string>, name: string, value: string): void {
    if (variables.size >= runLimits.variables && !variables.has(name)) {
      const frame = this.#frames.at(-1)
      const position = frame?.block[frame.at - 1]?.position ?? { line: 1, column: 1 }
      this.fail(position, `more than ${runLimits.variables} variables: use fewer`)
    }
    variables.set(name, cut(value))
  }

  matched(groups: readonly string[]): void {
    this.#scope.matched = groups
  }

  get matchVariables(): readonly string[] {
    return this.#scope.matched
  }

  compile(octets: Uint8Array): Compiled {
    return compileCached(octets)
  }

  get callers(): readonly string[] {
    const names: string[] = []
    for (const { scope } of this.#frames)
      if (scope.name !== undefined && scope.name !== names.at(-1)) names.push(scope.name)
    return names
  }

  has(capability: string): boolean {
    return this.#scope.required.has(capability) || this.#scope.enabled.has(capability)
  }

  enable(capabilities: readonly string[]): void {
    for (const capability of capabilities) this.#scope.enabled.add(capability)
  }
}

/** Characters are not cut in two. RFC 5229 §6 */
function cut(value: string): string {
  if (value.length <= runLimits.variableCharacters) return value
  const end = runLimits.variableCharacters
  const last = value.charCodeAt(end - 1)
  return value.slice(0, last >= 0xd800 && last < 0xdc00 ? end - 1 : end)
}
