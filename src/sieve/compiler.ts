/** Commands to closures. Extensions check their own arguments; here is what holds for all commands: names, require and ihave, if and its kin. */

import { type ArgumentContext, readArguments } from './arguments.ts'
import type { Extension, Namespace, Run, Test } from './language.ts'
import { scriptLimits } from './limits.ts'
import type { Node } from './syntax.ts'
import type { Block, Position, Script, ScriptProblem, Statement } from './types.ts'
import type { Vocabulary } from './vocabulary.ts'

/** Names that other systems, or older drafts, have for what there is under another name. */
const oldNames: Readonly<Record<string, string>> = {
  imapflags: 'imap4flags',
  notify: 'enotify',
  'vnd.dovecot.duplicate': 'duplicate',
}

interface Need {
  readonly capability: string
  readonly position: Position
  readonly what: string
}

interface Deferred {
  readonly fault: ScriptProblem | undefined
  readonly needed: Need[]
}

export class Compiler implements ArgumentContext {
  readonly vocabulary: Vocabulary
  readonly errors: ScriptProblem[] = []
  readonly warnings: ScriptProblem[] = []
  readonly matcherBudget = { left: scriptLimits.regexInstructions }
  readonly #required = new Map<string, Position>()
  readonly #used = new Set<string>()
  /** Set while a command or test is compiled that has to fail when it is run, because `ihave` leaves open whether it may be used. RFC 5463 §4 */
  #fault: ScriptProblem | undefined
  #needed: Need[] = []

  constructor(vocabulary: Vocabulary) {
    this.vocabulary = vocabulary
  }

  script(commands: readonly Node[], isBroken: boolean): Script {
    const isRequire = ({ name }: Node) => name.toLowerCase() === 'require'
    let atStart = true
    for (const node of commands) {
      if (!isRequire(node)) atStart = false
      else if (atStart) this.#require(node)
      else this.error(node, 'put "require" before all other commands')
    }
    const main = this.#block(commands.filter((node) => !isRequire(node)))
    const required = new Set(this.#required.keys())
    for (const capability of required)
      for (const implied of this.vocabulary.extensions.get(capability)?.implies ?? []) required.add(implied)
    if (!isBroken && this.errors.length === 0) this.#warnOfUnused()
    return { main, required }
  }

  error({ line, column }: Position, text: string): void {
    if (this.errors.length < scriptLimits.problems) this.errors.push({ line, column, text })
  }

  warn({ line, column }: Position, text: string): void {
    if (this.warnings.length < scriptLimits.problems) this.warnings.push({ line, column, text })
  }

  has(capability: string): boolean {
    const granting = this.#grantedBy(capability)
    if (granting !== undefined) this.#used.add(granting)
    return granting !== undefined
  }

  uses(capability: string | undefined, position: Position, what: string): boolean {
    if (capability === undefined || this.has(capability)) return true
    if (this.#required.has('ihave')) {
      this.#needed.push({ capability, position, what })
      return true
    }
    this.error(
      position,
      `${what} needs the extension "${capability}": add require "${capability}"; at the beginning of the script`,
    )
    return false
  }

  unknown({ line, column }: Position, text: string): void {
    if (this.#required.has('ihave')) this.#fault ??= { line, column, text }
    else this.error({ line, column }, text)
  }

  extension(capability: string): Extension | undefined {
    return this.vocabulary.extensions.get(capability)
  }

  namespace(name: string): Namespace | undefined {
    const found = this.vocabulary.namespaces.get(name)
    return found !== undefined && (found.capability === undefined || this.has(found.capability))
      ? found.spec
      : undefined
  }

  /** The required capability that is it or brings it along. */
  #grantedBy(capability: string): string | undefined {
    if (this.#required.has(capability)) return capability
    for (const required of this.#required.keys())
      if (this.vocabulary.extensions.get(required)?.implies?.includes(capability)) return required
    return undefined
  }

  #require(node: Node): void {
    const [list, ...others] = node.given
    if (list?.type !== 'string-list' || others.length > 0 || node.tests.length > 0 || node.block !== undefined) {
      this.error(node, '"require" takes the names of extensions, one or a list: require ["fileinto", "copy"];')
      return
    }
    for (const { text, line, column } of list.items) {
      const position = { line, column }
      if (this.#required.has(text)) this.warn(position, `"${shown(text)}" is required twice: remove one`)
      else if (this.vocabulary.extensions.has(text)) this.#required.set(text, position)
      else if (text.startsWith('comparator-') && this.#isBaseComparator(text)) continue
      else {
        const other =
          oldNames[text] ?? [...this.vocabulary.extensions.keys()].find((name) => name === text.toLowerCase())
        const hint =
          other !== undefined && this.vocabulary.extensions.has(other)
            ? `it is called "${other}" here`
            : 'remove it, and what needs it'
        this.error(position, `there is no extension "${shown(text)}": ${hint}`)
      }
    }
  }

  /** They need no require, and are no fault in one. RFC 5228 §6.1 */
  #isBaseComparator(capability: string): boolean {
    const found = this.vocabulary.comparators.get(capability.slice('comparator-'.length))
    return found !== undefined && found.capability === undefined
  }

  #warnOfUnused(): void {
    for (const [capability, position] of this.#required)
      if (!this.#used.has(capability))
        this.warn(position, `"${capability}" is required and not used: it may be removed`)
  }

  #block(commands: readonly Node[]): Block {
    const statements: Statement[] = []
    for (let at = 0; at < commands.length; at++) {
      const node = commands[at]!
      const name = node.name.toLowerCase()
      if (name === 'if') {
        const chain = [node]
        while (isContinuation(commands[at + 1])) chain.push(commands[++at]!)
        statements.push(this.#if(chain))
      } else if (name === 'elsif' || name === 'else') {
        this.error(node, `"${name}" has to follow the block of an "if" or "elsif"`)
        if (node.block !== undefined) this.#block(node.block)
      } else statements.push(this.#command(node))
      if (name === 'stop' && at + 1 < commands.length)
        this.warn(commands[at + 1]!, 'this is never reached: it follows "stop"')
    }
    return statements
  }

  #if(chain: readonly Node[]): Statement {
    const branches: { readonly test: Test; readonly block: Block }[] = []
    for (const [index, node] of chain.entries()) {
      const name = node.name.toLowerCase()
      if (node.given.length > 0) this.error(node.given[0]!, `"${name}" takes a test, and no other argument`)
      const [test] = node.tests
      if (name === 'else') {
        if (test !== undefined) this.error(test, '"else" takes no test: write "elsif" for another condition')
        if (index < chain.length - 1) this.error(chain[index + 1]!, 'nothing of an "if" can follow its "else"')
      } else if (test === undefined || node.inList || node.tests.length !== 1)
        this.error(node, `"${name}" takes one test: join several with allof (…) or anyof (…)`)
      if (node.block === undefined) this.error(node, `"${name}" needs a block in braces { } behind it`)
      branches.push({
        test: test === undefined || name === 'else' ? () => true : this.#test(test),
        block: this.#block(node.block ?? []),
      })
    }
    return { ...placed(chain[0]!), name: 'if', run: (run) => choose(branches, 0, run) }
  }

  #command(node: Node): Statement {
    const name = node.name.toLowerCase()
    const entry = this.vocabulary.commands.get(name)
    const { line, column } = node
    if (entry === undefined) {
      const text = this.vocabulary.tests.has(name)
        ? `"${node.name}" is a test: put it behind an "if"`
        : `there is no command "${shown(node.name)}": look how it is written`
      this.unknown(node, text)
      for (const test of node.tests) this.#test(test)
      this.#block(node.block ?? [])
      return this.#placed(
        node,
        this.#guarded(() => undefined),
      )
    }
    const outer = this.#begin()
    const isUsable = this.uses(entry.capability, { line, column }, `"${name}"`)
    const tests = entry.spec.tests === undefined ? [] : node.tests.map((test) => this.#test(test))
    const isBlockRight = (entry.spec.block === true) === (node.block !== undefined)
    if (!isBlockRight)
      this.error(
        node,
        entry.spec.block === true
          ? `"${name}" needs a block in braces { } behind it`
          : `"${name}" takes no block: end it with ";"`,
      )
    const block = this.#block(node.block ?? [])
    const given = readArguments(node, entry.spec, { tests, block }, this)
    const run = isUsable && given !== undefined ? entry.spec.compile(given, this) : () => undefined
    const guarded = this.#guarded(run)
    this.#end(outer)
    return this.#placed(node, guarded)
  }

  #placed(node: Node, run: Statement['run']): Statement {
    return { ...placed(node), name: node.name.toLowerCase(), run }
  }

  #test(node: Node): Test {
    const name = node.name.toLowerCase()
    const entry = this.vocabulary.tests.get(name)
    const outer = this.#begin()
    const tests =
      entry !== undefined && entry.spec.tests === undefined ? [] : node.tests.map((test) => this.#test(test))
    let compiled: Test = () => false
    if (entry === undefined) {
      const text = this.vocabulary.commands.has(name)
        ? `"${node.name}" is no test: put it into the block`
        : `there is no test "${shown(node.name)}": look how it is written`
      this.unknown(node, text)
    } else {
      const isUsable = this.uses(entry.capability, node, `"${name}"`)
      const given = readArguments(node, entry.spec, { tests, block: [] }, this)
      if (isUsable && given !== undefined) compiled = entry.spec.compile(given, this)
    }
    const guarded = this.#guarded(compiled)
    this.#end(outer)
    return traced(node, guarded)
  }

  #begin(): Deferred {
    const outer = { fault: this.#fault, needed: this.#needed }
    this.#fault = undefined
    this.#needed = []
    return outer
  }

  #end(outer: Deferred): void {
    this.#fault = outer.fault
    this.#needed = outer.needed
  }

  /** Looks first whether what it needs has been enabled. */
  #guarded<T>(run: (run: Run) => T): (run: Run) => T {
    const fault = this.#fault
    const needed = this.#needed
    this.#fault = undefined
    this.#needed = []
    if (fault !== undefined) return (state) => state.fail(fault, fault.text)
    if (needed.length === 0) return run
    return (state) => {
      for (const { capability, position, what } of needed)
        if (!state.has(capability))
          state.fail(position, `${what} needs the extension "${capability}", and no "ihave" has found it before`)
      return run(state)
    }
  }
}

const placed = ({ line, column }: Position) => ({ position: { line, column } })

/** Names in texts are bounded. */
const shown = (name: string) => (name.length > 60 ? `${name.slice(0, 60)}…` : name)

function isContinuation(node: Node | undefined): boolean {
  const name = node?.name.toLowerCase()
  return name === 'elsif' || name === 'else'
}

interface Branch {
  readonly test: Test
  readonly block: Block
}

function choose(branches: readonly Branch[], from: number, run: Run): void | Promise<void> {
  for (let index = from; index < branches.length; index++) {
    const { test, block } = branches[index]!
    const answer = test(run)
    if (answer === true) return run.enter(block)
    if (answer !== false) return chooseLater(answer, branches, index, run)
  }
}

async function chooseLater(
  answer: Promise<boolean>,
  branches: readonly Branch[],
  index: number,
  run: Run,
): Promise<void> {
  if (await answer) run.enter(branches[index]!.block)
  else await choose(branches, index + 1, run)
}

function traced({ name, line, column }: Node, test: Test): Test {
  return (run) => {
    run.spend(1)
    const { trace } = run.environment
    const answer = test(run)
    if (trace === undefined) return answer
    const tell = (result: boolean) => {
      trace.call(run.environment, { line, column }, `${name.toLowerCase()}: ${result}`)
      return result
    }
    return typeof answer === 'boolean' ? tell(answer) : answer.then(tell)
  }
}
