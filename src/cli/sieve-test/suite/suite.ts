/** Runs test scripts: PASS or FAIL a test, and totals. The language is that of extension `vnd.dovecot.testsuite`. */
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Writable } from 'node:stream'
import { compile } from '../../../sieve/compile.ts'
import { messageInMemory } from '../../../sieve/in-memory.ts'
import type { Extension } from '../../../sieve/language.ts'
import { run } from '../../../sieve/run.ts'
import type { Action, Envelope, Environment, Script, ScriptProblem } from '../../../sieve/types.ts'
import type { SieveTestArguments } from '../arguments.ts'
import { messageOf, withCrlf } from '../message.ts'
import { problemInWords } from '../words.ts'
import { Sandbox } from './sandbox.ts'
import { settingsEnvironment } from './settings.ts'
import { testsuite } from './testsuite.ts'

export interface TestResult {
  readonly file: string
  readonly test: string
  /** undefined: it passes. */
  readonly failure: string | undefined
}

/** Answers the exit status. */
export async function runSuites(
  { files, extensions, json, trace }: SieveTestArguments,
  out: Writable,
): Promise<number> {
  let [passed, failed] = [0, 0]
  for (const file of files) {
    if (!json) out.write(`${file}:\n`)
    const suite = new Suite(
      file,
      extensions,
      (line, text) => trace && out.write(`${String(line).padStart(5)}  ${text}\n`),
    )
    for (const result of await suite.run()) {
      if (result.failure === undefined) passed += 1
      else failed += 1
      if (json) out.write(`${JSON.stringify({ ...result, passed: result.failure === undefined })}\n`)
      else
        out.write(
          result.failure === undefined ? `  PASS ${result.test}\n` : `  FAIL ${result.test}: ${result.failure}\n`,
        )
    }
  }
  const totals = { files: files.length, passed, failed }
  out.write(json ? `${JSON.stringify(totals)}\n` : `${files.length} files, ${passed} tests pass, ${failed} fail\n`)
  return failed === 0 ? 0 : 1
}

/** One file: what its commands and tests work on. */
export class Suite {
  readonly file: string
  readonly sandbox = new Sandbox()
  readonly settings = new Map<string, string>()
  /** As `test_set` has it. */
  octets: Buffer = Buffer.from('From: nobody@example.com\r\nTo: nobody@example.com\r\nSubject: none\r\n\r\n')
  envelope: Envelope = { from: 'sender@example.com', to: 'nobody@example.com' }
  /** Of the last script that was compiled, and of its last run. */
  errors: readonly ScriptProblem[] = []
  script: Script | undefined
  /** Of scripts that were run; undefined: what the test script itself has asked for. */
  result: readonly Action[] | undefined
  readonly #extensions: readonly Extension[]
  readonly #results: TestResult[] = []
  readonly #trace: (line: number, text: string) => void
  #test: { readonly name: string; failure?: string } | undefined

  constructor(file: string, extensions: readonly Extension[], trace: (line: number, text: string) => void) {
    this.file = file
    this.#extensions = extensions
    this.#trace = trace
  }

  async run(): Promise<readonly TestResult[]> {
    const compiled = compile(await readFile(this.file), { extensions: [...this.#extensions, testsuite(this)] })
    if ('errors' in compiled) return [this.#made('(the file)', problemInWords(compiled.errors[0]!))]
    const message = messageInMemory(this.octets, this.envelope)
    const { error } = await run([compiled.script], message, this.#liveEnvironment())
    if (error !== undefined) {
      const failure = problemInWords(error)
      if (this.#test === undefined) this.#results.push(this.#made('(the file)', failure))
      else this.fail(failure)
    }
    this.end()
    return this.#results
  }

  /** With the envelope that its header suggests. */
  setMessage(octets: Buffer): void {
    const { envelope } = messageOf(octets, {})
    this.octets = withCrlf(octets)
    this.envelope = envelope
  }

  begin(name: string): void {
    this.end()
    this.#test = { name }
  }

  /** Only the first counts. */
  fail(text: string): void {
    if (this.#test !== undefined) this.#test.failure ??= text
    else this.#results.push(this.#made('(outside of tests)', text))
  }

  end(): void {
    if (this.#test !== undefined) this.#results.push(this.#made(this.#test.name, this.#test.failure))
    this.#test = undefined
  }

  /** A script beside the file. */
  async compile(name: string): Promise<Script | undefined> {
    const octets = await this.#read(name)
    const compiled =
      octets === undefined
        ? { errors: [{ line: 1, column: 1, text: 'the file can not be read' }] }
        : compile(octets, { extensions: this.#extensions })
    this.errors = 'errors' in compiled ? compiled.errors : []
    this.script = 'script' in compiled ? compiled.script : undefined
    return this.script
  }

  /** Whether all went well. */
  async runScripts(scripts: readonly Script[], appends: boolean): Promise<boolean> {
    const { actions, error } = await run(scripts, messageInMemory(this.octets, this.envelope), this.environment)
    this.errors = error === undefined ? [] : [error]
    this.result = appends ? [...(this.result ?? []).filter(({ type }) => type !== 'keep'), ...actions] : actions
    return error === undefined
  }

  get environment(): Environment {
    const { settings } = this
    return {
      now: Date.now(),
      ...this.sandbox.environment,
      ...settingsEnvironment(settings),
      items: { name: 'Wherry', location: 'MS', phase: 'during', host: 'localhost', domain: 'example.com' },
      isNotifyMethod: async (uri) => /^mailto:/i.test(uri),
      script: (location, name) =>
        this.#read(join(location === 'global' ? 'included-global' : 'included', `${name}.sieve`)),
    }
  }

  /** Of the test script itself, which sets while it runs. */
  #liveEnvironment(): Environment {
    const setting = (name: 'spam' | 'virus' | 'maxRedirects' | 'maxActions' | 'detailSeparator') => ({
      enumerable: true,
      get: () => settingsEnvironment(this.settings)[name],
    })
    const trace: Environment['trace'] = ({ line }, text) => this.#trace(line, text)
    return Object.defineProperties(
      { ...this.environment, trace },
      {
        spam: setting('spam'),
        virus: setting('virus'),
        maxRedirects: setting('maxRedirects'),
        maxActions: setting('maxActions'),
        detailSeparator: setting('detailSeparator'),
      },
    )
  }

  async #read(name: string): Promise<Buffer | undefined> {
    const path = join(dirname(this.file), name)
    for (const candidate of [path, `${path}.sieve`])
      try {
        return await readFile(candidate)
      } catch (error) {
        if (!(error instanceof Error && 'code' in error)) throw error
      }
    return undefined
  }

  #made(test: string, failure: string | undefined): TestResult {
    return { file: this.file, test, failure }
  }
}
