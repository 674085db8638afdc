/** What stands behind a command's name, checked against what it takes. RFC 5228 §2.6 */

import { asciiCasemap } from './comparators.ts'
import type {
  AddressPart,
  Arguments,
  ArgumentType,
  CommandSpec,
  Comparator,
  CompileContext,
  Matching,
  MatchType,
  Positional,
  Run,
  TagSpec,
  Test,
  TestSpec,
  Text,
  Texts,
} from './language.ts'
import { runLimits } from './limits.ts'
import { BadKey, type MatcherBudget, makeMatching } from './match.ts'
import { is } from './match-types.ts'
import { compileText, compileTexts, constantText, type StringContext } from './strings.ts'
import type { Argument, Node } from './syntax.ts'
import type { Action, Block, Position } from './types.ts'
import type { Entry, Vocabulary } from './vocabulary.ts'

export interface ArgumentContext extends CompileContext, StringContext {
  readonly vocabulary: Vocabulary
  readonly matcherBudget: MatcherBudget
  /** Whether what comes with the capability may be used here; tells when not. */
  uses(capability: string | undefined, position: Position, what: string): boolean
  /** Tells of a name that there is not. */
  unknown(position: Position, text: string): void
}

/** undefined: told what is wrong. */
export function readArguments(
  node: Node,
  spec: CommandSpec | TestSpec,
  inner: { readonly tests: readonly Test[]; readonly block: Block },
  context: ArgumentContext,
): Arguments | undefined {
  const given = new GivenArguments(node, inner)
  return new Reader(node, spec, context, given).read() ? given : undefined
}

type Value = Text | Texts | number | true

class GivenArguments implements Arguments {
  readonly position: Position
  readonly name: string
  readonly tests: readonly Test[]
  readonly block: Block
  readonly values = new Map<string, Value>()
  readonly decorating: TagSpec[] = []
  matching: Matching = neverMatching
  addressPart: AddressPart = wholeAddress

  constructor(
    { line, column, name }: Node,
    { tests, block }: { readonly tests: readonly Test[]; readonly block: Block },
  ) {
    this.position = { line, column }
    this.name = name.toLowerCase()
    this.tests = tests
    this.block = block
  }

  has(name: string): boolean {
    return this.values.has(name)
  }

  findText(name: string): Text | undefined {
    const value = this.values.get(name)
    return typeof value === 'object' && !('items' in value) ? value : undefined
  }

  text(name: string): Text {
    return this.findText(name) ?? missing(name)
  }

  findTexts(name: string): Texts | undefined {
    const value = this.values.get(name)
    return typeof value === 'object' && 'items' in value ? value : undefined
  }

  texts(name: string): Texts {
    return this.findTexts(name) ?? missing(name)
  }

  findNumber(name: string): number | undefined {
    const value = this.values.get(name)
    return typeof value === 'number' ? value : undefined
  }

  number(name: string): number {
    return this.findNumber(name) ?? missing(name)
  }

  decorate(action: Action, run: Run): Action {
    let decorated = action
    for (const { decorate } of this.decorating) decorated = decorate?.(decorated, this, run) ?? decorated
    return decorated
  }
}

/** A defect of the extension: it asks for what it has not declared. */
function missing(name: string): never {
  throw new Error(`no argument "${name}" was declared`)
}

const neverMatching: Matching = { any: () => false, counts: false }
const wholeAddress: AddressPart = { name: 'all', of: () => undefined }
const typeNames: Readonly<Record<ArgumentType, string>> = {
  string: 'a string',
  'string-list': 'a string or a list of strings',
  number: 'a number',
}

class Reader {
  readonly #node: Node
  readonly #spec: CommandSpec | TestSpec
  readonly #context: ArgumentContext
  readonly #into: GivenArguments
  readonly #what: string
  #fine = true
  #matchType: Entry<MatchType> | undefined
  #comparator: Comparator = asciiCasemap
  #operator: string | undefined
  #addressPart: string | undefined

  constructor(node: Node, spec: CommandSpec | TestSpec, context: ArgumentContext, into: GivenArguments) {
    this.#node = node
    this.#spec = spec
    this.#context = context
    this.#into = into
    this.#what = `"${node.name.toLowerCase()}"`
  }

  read(): boolean {
    this.#readTests()
    const positional = this.#readTags()
    this.#readPositional(positional)
    if (this.#fine) this.#checkExclusions()
    if (this.#fine && 'matches' in this.#spec) this.#makeMatching()
    if (this.#fine && 'addressParts' in this.#spec)
      this.#into.addressPart = this.#context.vocabulary.addressParts.get(this.#addressPart ?? 'all')!.spec
    if (this.#fine) for (const { check } of this.#into.decorating) check?.(this.#into, this.#context)
    return this.#fine
  }

  #error(position: Position, text: string): void {
    this.#fine = false
    this.#context.error({ line: position.line, column: position.column }, text)
  }

  #readTests(): void {
    const { tests, inList } = this.#node
    const first = tests[0]
    switch (this.#spec.tests) {
      case undefined:
        if (first !== undefined)
          this.#error(first, `${this.#what} takes no test: remove "${first.name}", or put a ";" before it`)
        return
      case 'one':
        if (first === undefined) this.#error(this.#node, `${this.#what} needs a test behind it`)
        else if (inList)
          this.#error(
            first,
            `${this.#what} takes one test without parentheses: join several with allof (…) or anyof (…)`,
          )
        return
      case 'list':
        if (!inList)
          this.#error(first ?? this.#node, `${this.#what} needs its tests in parentheses, with commas between them`)
    }
  }

  /** What is left over: the positional arguments. */
  #readTags(): readonly Argument[] {
    const { given } = this.#node
    const positional: Argument[] = []
    for (let at = 0; at < given.length; at++) {
      const argument = given[at]!
      if (argument.type !== 'tag') {
        positional.push(argument)
        continue
      }
      if (positional.length > 0)
        this.#error(argument, `put ":${argument.name}" before the other arguments of ${this.#what}`)
      const tag = this.#findTag(argument, argument.name)
      if (tag === undefined) {
        this.#fine = false
        // Whatever follows may be its value: nobody knows.
        return positional
      }
      if (tag.value === undefined) {
        tag.take(undefined)
        continue
      }
      const value = given[at + 1]
      if (value === undefined || !isOf(value, tag.value)) {
        this.#error(value ?? argument, `":${argument.name}" needs ${typeNames[tag.value]} behind it`)
        if (value === undefined || value.type === 'tag') continue
      } else tag.take(value)
      at++
    }
    return positional
  }

  #findTag(
    position: Position,
    name: string,
  ): { readonly value?: ArgumentType | undefined; take(value: Argument | undefined): void } | undefined {
    const { vocabulary } = this.#context
    const shown = `":${name}"`
    const own = vocabulary.tagsOf(this.#spec).get(name)
    if (own !== undefined) {
      if (!this.#uses(own.capability, position, shown) || !this.#uses(own.spec.capability, position, shown))
        return undefined
      return { value: own.spec.value, take: (value) => this.#takeTag(own.spec, position, value) }
    }
    if ('matches' in this.#spec) {
      const type = vocabulary.matchTypes.get(name)
      if (type !== undefined) {
        if (!this.#uses(type.capability, position, shown)) return undefined
        return { value: type.spec.value, take: (value) => this.#takeMatchType(type, position, value) }
      }
      if (name === 'comparator') return { value: 'string', take: (value) => this.#takeComparator(value!) }
    }
    if ('addressParts' in this.#spec) {
      const part = vocabulary.addressParts.get(name)
      if (part !== undefined) {
        if (!this.#uses(part.capability, position, shown)) return undefined
        return { take: () => this.#takeAddressPart(name, position) }
      }
    }
    this.#context.unknown(position, `${this.#what} has no tag ${shown}: ${this.#tagsText()}`)
    return undefined
  }

  #uses(capability: string | undefined, position: Position, what: string): boolean {
    return capability === undefined || this.#context.uses(capability, position, what)
  }

  #tagsText(): string {
    const { vocabulary } = this.#context
    const names = [
      ...vocabulary.tagsOf(this.#spec).keys(),
      ...('matches' in this.#spec ? ['comparator', ...vocabulary.matchTypes.keys()] : []),
      ...('addressParts' in this.#spec ? vocabulary.addressParts.keys() : []),
    ]
    return names.length === 0 ? 'it takes none' : `it takes ${names.map((name) => `:${name}`).join(', ')}`
  }

  #takeTag(tag: TagSpec, position: Position, given: Argument | undefined): void {
    if (this.#into.values.has(tag.name)) {
      this.#error(position, `":${tag.name}" is given twice: remove one`)
      return
    }
    this.#into.values.set(tag.name, given === undefined ? true : this.#value(given, tag))
    this.#into.decorating.push(tag)
  }

  #takeMatchType(type: Entry<MatchType>, position: Position, given: Argument | undefined): void {
    if (this.#matchType !== undefined) {
      this.#error(position, `":${this.#matchType.spec.name}" and ":${type.spec.name}" can't stand together: choose one`)
      return
    }
    this.#matchType = type
    if (given === undefined) return
    const operator = this.#constant(given)
    const problem = operator === undefined ? undefined : type.spec.checkOperator?.(operator)
    if (problem !== undefined) this.#error(given, problem)
    this.#operator = operator
  }

  #takeComparator(given: Argument): void {
    if (this.#into.values.has('comparator')) {
      this.#error(given, '":comparator" is given twice: remove one')
      return
    }
    this.#into.values.set('comparator', true)
    const name = this.#constant(given)
    if (name === undefined) return
    const found = this.#context.vocabulary.comparators.get(name)
    if (found === undefined) {
      this.#fine = false
      const names = [...this.#context.vocabulary.comparators.keys()].join(', ')
      this.#context.unknown(given, `there is no comparator "${name.slice(0, 60)}": use one of ${names}`)
    } else if (this.#uses(found.capability, given, `comparator "${name}"`)) this.#comparator = found.spec
    else this.#fine = false
  }

  #takeAddressPart(name: string, position: Position): void {
    if (this.#addressPart !== undefined)
      this.#error(position, `":${this.#addressPart}" and ":${name}" can't stand together: choose one`)
    this.#addressPart = name
  }

  #readPositional(given: readonly Argument[]): void {
    if (!this.#fine) return
    const all = this.#spec.positional ?? []
    const optional = all.filter(({ optional }) => optional === true).length
    const isShort = given.length <= all.length - optional
    const wanted = isShort ? all.filter(({ optional }) => optional !== true) : all
    for (const [index, positional] of wanted.entries()) {
      const argument = given[index]
      if (argument === undefined) {
        this.#error(this.#node, `${this.#what} needs ${this.#positionalText(positional)}`)
        return
      }
      if (!isOf(argument, positional.type)) {
        this.#error(argument, `${this.#what} needs ${this.#positionalText(positional)} here`)
        return
      }
      this.#into.values.set(positional.name, this.#value(argument, positional))
    }
    const extra = given[wanted.length]
    if (extra !== undefined) this.#error(extra, `${this.#what} takes no further argument: remove this one`)
  }

  #positionalText({ type, name }: Positional): string {
    return `${typeNames[type]} (${name})`
  }

  #value(
    given: Argument,
    { type, value, constant }: { type?: ArgumentType; value?: ArgumentType; constant?: true },
  ): Value {
    if (given.type === 'number') return given.value
    if (given.type === 'tag') return true
    const texts = given.items.map((item) => compileText(item, this.#context))
    const variable = constant ? texts.find((text) => text.constant === undefined) : undefined
    if (variable !== undefined)
      this.#error(variable.position, 'there can be no variables in this string: write what it is')
    return (type ?? value) === 'string' ? texts[0]! : compileTexts(given, texts)
  }

  #constant(given: Argument): string | undefined {
    const text = given.type === 'string-list' ? compileText(given.items[0]!, this.#context) : constantText(given, '')
    if (text.constant === undefined) this.#error(given, 'there can be no variables in this string: write what it is')
    return text.constant
  }

  #checkExclusions(): void {
    for (const { name, excludes } of this.#into.decorating)
      for (const other of excludes ?? [])
        if (other !== name && this.#into.has(other)) {
          this.#error(this.#node, `":${name}" and ":${other}" can't stand together: choose one`)
          return
        }
  }

  #makeMatching(): void {
    const type = this.#matchType?.spec ?? is
    if (type.substring === true && !this.#comparator.substring) {
      this.#error(
        this.#node,
        `":${type.name}" does not work with the comparator "${this.#comparator.name}": use :is, or another comparator`,
      )
      return
    }
    const keys = this.#into.findTexts(this.#spec.positional!.at(-1)!.name)
    if (keys === undefined) return
    const keysOf = 'keysOf' in this.#spec ? this.#spec.keysOf : undefined
    try {
      this.#into.matching = makeMatching({
        type,
        comparator: this.#comparator,
        operator: this.#operator,
        keys,
        keysOf,
        budget: this.#context.matcherBudget,
      })
    } catch (error) {
      if (!(error instanceof BadKey)) throw error
      // It may have taken as long as the largest that there can be.
      this.#context.matcherBudget.left -= runLimits.regexInstructions
      this.#error(keys.position, error.message)
    }
  }
}

function isOf(argument: Argument, type: ArgumentType): boolean {
  if (type === 'number') return argument.type === 'number'
  return argument.type === 'string-list' && (type === 'string-list' || !argument.bracketed)
}
