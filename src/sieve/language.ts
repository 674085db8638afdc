/**
 * What an extension of the language is. Each lies in a file of its own in `extensions/` and is listed in `extensions/index.ts`; it says which commands, tests, tags,
 * match types, address parts and comparators come with its capability. The base language is an extension without a capability. RFC 5228 §6
 */

import type { RunningMessage } from './message.ts'
import type { Action, Block, Compiled, Environment, Position, Script, SieveMessage } from './types.ts'

/** What asks the environment answers by a promise, everything else at once: a promise for each of a thousand tests would cost more than they do. */
export type Answer<T> = T | Promise<T>

export interface Extension {
  /** What `require` names; undefined: always there. */
  readonly capability: string | undefined
  /** Capabilities that come with it. */
  readonly implies?: readonly string[]
  /** Changes how scripts are read, so `ihave` can't enable it. RFC 5463 §4 */
  readonly changesGrammar?: true
  readonly commands?: readonly CommandSpec[]
  readonly tests?: readonly TestSpec[]
  /** Tags of commands and tests that are others' (also the base's). */
  readonly tags?: readonly (TagSpec & { readonly on: readonly string[] })[]
  readonly matchTypes?: readonly MatchType[]
  readonly addressParts?: readonly AddressPart[]
  readonly comparators?: readonly Comparator[]
  /** Lower-case first component of variable names that the extension explains. RFC 5229 §3 */
  readonly namespace?: Namespace
  /** Completes every action when it is met, the implicit keep too; whether the script that is run requires the extension or not. */
  readonly complete?: (action: Action, run: Run) => Action
}

export type ArgumentType = 'string' | 'string-list' | 'number'

export interface Positional {
  readonly name: string
  readonly type: ArgumentType
  /** May be left out when there are too few; comes before the others then. */
  readonly optional?: true
  /** No variables in it. */
  readonly constant?: true
}

export interface TagSpec {
  /** Lower case, without the colon. */
  readonly name: string
  readonly value?: ArgumentType
  readonly constant?: true
  /** Tags that can't stand beside it; naming a tag on one side is enough. */
  readonly excludes?: readonly string[]
  /** Capability needed beside the command's own, that of another extension. */
  readonly capability?: string
  /** What the tag makes of an action; called by `Arguments.decorate` in order of the tags. */
  readonly decorate?: (action: Action, value: Arguments, run: Run) => Action
  /** Looks at the tag when the script is compiled. */
  readonly check?: (value: Arguments, context: CompileContext) => void
}

interface Spec {
  /** Lower case. */
  readonly name: string
  readonly positional?: readonly Positional[]
  readonly tags?: readonly TagSpec[]
  /** What the command is followed by: one test, or a list in parentheses. */
  readonly tests?: 'one' | 'list'
  /** Takes a match type and a comparator; the last positional argument holds the keys. */
  readonly matches?: true
  /** Takes an address part. */
  readonly addressParts?: true
}

export interface CommandSpec extends Spec {
  readonly block?: true
  compile(given: Arguments, context: CompileContext): (run: Run) => Answer<void>
}

export interface TestSpec extends Spec {
  /** What keys a key stands for; itself by default. */
  readonly keysOf?: (key: string) => readonly string[]
  compile(given: Arguments, context: CompileContext): Test
}

export type Test = (run: Run) => Answer<boolean>

/** A string argument. */
export interface Text {
  readonly position: Position
  /** undefined: there are variables in it. */
  readonly constant: string | undefined
  of(run: Run): string
}

export interface Texts {
  readonly position: Position
  readonly items: readonly Text[]
  /** undefined: there are variables in one of them. */
  readonly constant: readonly string[] | undefined
  of(run: Run): readonly string[]
}

/** What a command or test was given, checked against its spec. Names are those of positional arguments and tags. */
export interface Arguments {
  readonly position: Position
  /** Of the command or test. */
  readonly name: string
  has(name: string): boolean
  /** Must be there (positional or not); the `find` ones give undefined for what was left out. */
  text(name: string): Text
  findText(name: string): Text | undefined
  texts(name: string): Texts
  findTexts(name: string): Texts | undefined
  number(name: string): number
  findNumber(name: string): number | undefined
  readonly tests: readonly Test[]
  readonly block: Block
  /** Of a test with `matches`. */
  readonly matching: Matching
  /** Of a test with `addressParts`. */
  readonly addressPart: AddressPart
  /** The action with what the tags make of it. */
  decorate(action: Action, run: Run): Action
}

export interface CompileContext {
  /** The script is refused, with this among its problems. */
  error(position: Position, text: string): void
  warn(position: Position, text: string): void
  /** Whether the script may use it. */
  has(capability: string): boolean
  /** What there is under the name, required or not. */
  extension(capability: string): Extension | undefined
  /** The variables that this beginning of a name means, if the script may use them. */
  namespace(name: string): Namespace | undefined
}

/** Compares the values that a test has found with its keys. */
export interface Matching {
  /** True as soon as one value matches one key. Takes long lists in pieces. With `counts` it compares the number of values. */
  any(values: readonly string[], run: Run): Answer<boolean>
  /** `:count`: not the values are compared, but how many there are. RFC 5231 §4.2 */
  readonly counts: boolean
}

export interface MatchType {
  /** The tag. */
  readonly name: string
  /** Takes a string, such as the operator of `:value`. */
  readonly value?: 'string'
  readonly counts?: true
  /** Needs a comparator with `substring`. */
  readonly substring?: true
  /** Is asked for one key, once where it is constant. Throws `BadKey` (`match.ts`) for one that can't be used. */
  matcher(key: string, comparator: Comparator, operator: string | undefined): Matcher
  /** Says what is wrong with the operator. */
  checkOperator?(operator: string): string | undefined
}

export interface Matcher {
  /** What it took to make it, and what it holds, in instructions of a regular expression. Default 0. */
  readonly size?: number
  /** `folded` is the value as the comparator folds it. Match variables are told to `run.matched`. */
  matches(value: string, folded: string, run: Run): Answer<boolean>
}

export interface AddressPart {
  readonly name: string
  /** undefined: the address has no such part, so nothing matches. `separator`: RFC 5233 */
  of(
    address: { readonly localPart: string; readonly domain: string | undefined },
    separator: string,
  ): string | undefined
}

export interface Comparator {
  /** `i;octet` … */
  readonly name: string
  /** Texts are equal when their folded forms are. */
  fold(text: string): string
  /** Of two texts that are not folded: less than 0, 0, more. */
  order(a: string, b: string): number
  /** Whether :contains and :matches work with it. */
  readonly substring: boolean
  /** What `?` matches one of. */
  readonly character: 'octet' | 'code-point'
}

/** Variables of a namespace (`env.` of `vnd.dovecot.environment`, `global.` of include). */
export interface Namespace {
  readonly name: string
  /** undefined for a name that there is not. `name`: lower case, without the namespace. */
  get(name: string, run: Run): string | undefined
  /** Only where `set` may be used on it. */
  set?(name: string, value: string, run: Run): void
}

/** One run of one or several scripts. What an extension keeps during a run it keeps by `perRun`. */
export interface Run {
  readonly environment: Environment
  /** As the scripts see it, edits included. */
  readonly message: RunningMessage
  /** Another message from here on (test suites). */
  setMessage(message: SieveMessage): void
  /** Adds an action: fills in what other extensions say of it, drops what is there twice, cancels the implicit keep. Fails when it can't stand beside others. */
  act(action: Action, position: Position): void
  readonly actions: readonly Action[]
  /** As if nothing had been asked for yet (test suites). */
  forgetActions(): void
  cancelImplicitKeep(): void
  /** Runs the block next. */
  enter(block: Block): void
  /** Blocks that have been entered and not left. */
  readonly depth: number
  /** Leaves all that were entered since there were so many. */
  leaveTo(depth: number): void
  /** What is remembered of scripts that were compiled before is used. */
  compile(octets: Uint8Array): Compiled
  /** Included scripts that are being run, the innermost last. */
  readonly callers: readonly string[]
  /** Runs the script's commands next, with variables of its own; `leave` (and its end) come back. */
  call(script: Script, name: string): void
  /** Ends the innermost called script, or everything. RFC 6609 §3.3 */
  leave(): void
  /** Ends the run. RFC 5228 §3.3 */
  stop(): void
  /** Ends the run with an error at this place. */
  fail(position: Position, text: string): never
  warn(position: Position, text: string): void
  /** Counts work done; fails when the scripts have used up what they may. */
  spend(steps: number): void
  /** Whether this turn of the event loop has done enough: who loops should `await run.breathe()`. */
  readonly isTired: boolean
  breathe(): Promise<void>
  /** By lower-case name. */
  variable(name: string): string
  setVariable(name: string, value: string): void
  /** The match variables from 0. RFC 5229 §3.2 */
  matched(groups: readonly string[]): void
  readonly matchVariables: readonly string[]
  /** From here on the name means the variable that all scripts share, in the script that is run now. RFC 6609 §3.4 */
  shareVariable(name: string): void
  sharedVariable(name: string): string
  setSharedVariable(name: string, value: string): void
  /** Whether the script that is run now has asked for it (`require`, a successful `ihave`). */
  has(capability: string): boolean
  enable(capabilities: readonly string[]): void
}

/** State of an extension in a run, made when it is first needed. */
export const perRun = <T>(create: (run: Run) => T): ((run: Run) => T) => keptBy((run) => run, create)

/** The same, for as long as the run looks at one message. */
export const perMessage = <T>(create: (run: Run) => T): ((run: Run) => T) => keptBy((run) => run.message, create)

function keptBy<T>(keyOf: (run: Run) => object, create: (run: Run) => T): (run: Run) => T {
  const states = new WeakMap<object, { readonly state: T }>()
  return (run) => {
    const key = keyOf(run)
    const known = states.get(key)
    if (known !== undefined) return known.state
    const state = create(run)
    states.set(key, { state })
    return state
  }
}
