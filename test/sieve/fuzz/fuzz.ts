/**
 * Scripts near and far from real ones, run on messages near and far from real ones. Whatever they are: the compiler does not throw, an error keeps the message, a run says the same
 * again, and no turn of the event loop takes long.
 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { capabilities, compile } from '#src/sieve/compile.ts'
import { messageInMemory } from '#src/sieve/in-memory.ts'
import { run } from '#src/sieve/run.ts'
import type { Environment, Outcome } from '#src/sieve/types.ts'
import { mulberry32 } from '#test/support/random.ts'
import { everything, readCases } from '../transcript.ts'

export interface Finding {
  readonly reason: string
  readonly script: string
  readonly message: string
}

export interface Tally {
  scripts: number
  /** Of them: those that could be run. */
  runs: number
  errors: number
  longestTurnMs: number
}

interface Corpus {
  readonly scripts: readonly string[]
  readonly messages: readonly string[]
  /** Commands, tests, strings, numbers and tags of the scripts. */
  readonly words: readonly string[]
}

export function readCorpus(): Corpus {
  const cases = globSync(join(import.meta.dirname, '../scripts/*.txt')).flatMap((file) =>
    readCases(readFileSync(file, 'utf8')),
  )
  const scripts: string[] = []
  for (const { sections } of cases)
    for (const [name, text] of sections) {
      if (name === 'script' || name.startsWith('personal ')) scripts.push(text)
      else if (name === 'true' || name === 'false') {
        const lines = text.split('\n').filter((line) => line !== '')
        scripts.push(
          `${everything}${sections.get('setup') ?? ''}\n${lines.map((line) => `if ${line} { keep; }`).join('\n')}`,
        )
      }
    }
  const words = new Set(
    scripts.flatMap((script) => script.match(/"(?:[^"\\]|\\.)*"|:?[a-z_]+|\d+[KMG]?|[[\](){};,]/gi) ?? []),
  )
  return { scripts, messages: [...new Set(cases.map(({ message }) => message))], words: [...words] }
}

export class SieveFuzzer {
  readonly tally: Tally = { scripts: 0, runs: 0, errors: 0, longestTurnMs: 0 }
  readonly #corpus = readCorpus()
  readonly #random: () => number

  constructor(seed: number) {
    this.#random = mulberry32(seed)
  }

  /** One script on one message. */
  async next(): Promise<Finding | undefined> {
    const script = this.#random() < 0.3 ? this.#made() : this.#near(this.#pick(this.#corpus.scripts))
    const message =
      this.#random() < 0.5 ? this.#pick(this.#corpus.messages) : this.#near(this.#pick(this.#corpus.messages))
    return this.check(script, message)
  }

  async check(script: string, message: string): Promise<Finding | undefined> {
    const found = (reason: string): Finding => ({ reason, script, message })
    const turns = new Turns()
    try {
      this.tally.scripts++
      const octets = Buffer.from(script, 'latin1')
      const compiled = compile(octets)
      if ('errors' in compiled) {
        const lines = script.split('\n').length
        for (const { line, column, text } of [...compiled.errors, ...compiled.warnings])
          if (!(line >= 1 && line <= lines && column >= 1) || text === '' || text.length > 1000)
            return found(`problem at ${line}:${column}: ${text}`)
        return undefined
      }
      this.tally.runs++
      const given = messageInMemory(Buffer.from(message, 'latin1'), { from: 'a@example.org', to: 'b+c@example.org' })
      turns.begin()
      const outcome = await run([compiled.script], given, environment(octets))
      turns.end()
      const again = await run([compiled.script], given, environment(octets))
      if (outcome.error !== undefined) this.tally.errors++
      return outcomeFault(outcome) !== undefined
        ? found(outcomeFault(outcome)!)
        : JSON.stringify(outcome) === JSON.stringify(again)
          ? undefined
          : found('another outcome the second time')
    } catch (error) {
      return found(`threw ${error instanceof Error ? error.stack : String(error)}`)
    } finally {
      turns.end()
      this.tally.longestTurnMs = Math.max(this.tally.longestTurnMs, turns.longestMs)
    }
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)]!
  }

  /** A script that the grammar likes more often than not. */
  #made(): string {
    const { words } = this.#corpus
    const names = capabilities()
    const pieces = [
      `require [${Array.from({ length: 1 + Math.floor(this.#random() * names.length) }, () => `"${this.#pick(names)}"`).join(', ')}];\n`,
    ]
    for (let left = Math.floor(this.#random() * 30); left > 0; left--) {
      const strings = words.filter((word) => word.startsWith('"'))
      const list = () =>
        this.#random() < 0.5 ? this.#pick(strings) : `[${this.#pick(strings)}, ${this.#pick(strings)}]`
      const tags = Array.from({ length: Math.floor(this.#random() * 3) }, () =>
        this.#pick(words.filter((word) => word.startsWith(':'))),
      )
      const name = this.#pick(words.filter((word) => /^[a-z]/i.test(word)))
      const command = [name, ...tags, ...Array.from({ length: Math.floor(this.#random() * 4) }, list)].join(' ')
      pieces.push(
        this.#random() < 0.5 ? `${command};\n` : `if ${command} { ${this.#random() < 0.5 ? 'keep;' : 'stop;'} }\n`,
      )
    }
    return pieces.join('')
  }

  /** Octets changed, pieces cut, repeated and put elsewhere; in latin1. */
  #near(text: string): string {
    let octets = Buffer.from(this.#random() < 0.5 ? text.replaceAll('\n', '\r\n') : text).toString('latin1')
    for (let left = Math.floor(this.#random() * 4); left > 0; left--) {
      const at = Math.floor(this.#random() * octets.length)
      const length = Math.floor(this.#random() ** 3 * 40)
      const piece = octets.slice(at, at + length)
      switch (Math.floor(this.#random() * 6)) {
        case 0:
          octets = octets.slice(0, at) + String.fromCharCode(Math.floor(this.#random() * 256)) + octets.slice(at + 1)
          break
        case 1:
          octets = octets.slice(0, at) + octets.slice(at + length)
          break
        case 2:
          octets = octets.slice(0, at) + piece.repeat(1 + Math.floor(this.#random() ** 4 * 200)) + octets.slice(at)
          break
        case 3:
          octets = octets.slice(0, at) + this.#pick(this.#corpus.words) + octets.slice(at)
          break
        case 4:
          octets = octets.slice(0, at)
          break
        default:
          octets =
            octets.slice(0, at) +
            this.#pick([
              '"',
              '\\',
              '{',
              '}',
              '[',
              ']',
              '(',
              ')',
              ';',
              ',',
              '${',
              '*/',
              '/*',
              '#',
              '\r',
              '\n',
              '\0',
              '\xff',
              'text:\r\n',
            ]) +
            octets.slice(at)
      }
    }
    return octets
  }
}

/** Scripts include themselves and one another. */
function environment(octets: Buffer): Environment {
  return {
    now: 1_200_000_000_000,
    maxSteps: 2_000_000,
    items: { host: 'mail.example.org', 'remote-host': '' },
    spam: { field: 'X-Spam-Score', max: 10 },
    script: async (_, name) => (name.length % 2 === 0 ? octets : undefined),
    mailboxExists: async (mailbox) => mailbox.length % 2 === 0,
    isDuplicate: async () => false,
  }
}

function outcomeFault({ actions, error }: Outcome): string | undefined {
  if (error !== undefined && (actions.length !== 1 || actions[0]!.type !== 'keep')) return 'an error without a keep'
  return actions.some((action) => action.type === 'fileinto' && action.mailbox === '')
    ? 'a mailbox without a name'
    : undefined
}

/** How much processor time this thread takes between two turns of the event loop. Wall time would tell of the machine's other work. */
export class Turns {
  longestMs = 0
  #since = 0
  #handle: NodeJS.Immediate | undefined

  begin(): void {
    this.#since = cpuMs()
    this.#handle = setImmediate(() => this.#turn())
  }

  end(): void {
    if (this.#handle === undefined) return
    clearImmediate(this.#handle)
    this.#handle = undefined
    this.longestMs = Math.max(this.longestMs, cpuMs() - this.#since)
  }

  #turn(): void {
    const now = cpuMs()
    this.longestMs = Math.max(this.longestMs, now - this.#since)
    this.#since = now
    this.#handle = setImmediate(() => this.#turn())
  }
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
