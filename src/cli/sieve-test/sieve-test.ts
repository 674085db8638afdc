/** Runs scripts on a message without doing anything, so that users and support can see what would come of it, and why. */
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { Config } from '../../config/config.ts'
import { ConfigError } from '../../config/finding.ts'
import { exitCodes } from '../../server/process.ts'
import { compile } from '../../sieve/compile.ts'
import { run } from '../../sieve/run.ts'
import type { Environment, Script, ScriptProblem } from '../../sieve/types.ts'
import { readArguments, type SieveTestArguments, UsageError, usage } from './arguments.ts'
import { messageOf } from './message.ts'
import { runSuites } from './suite/suite.ts'
import { CannotTell, withUser } from './user.ts'
import { outcomeInWords, problemInWords } from './words.ts'

export interface Surroundings {
  readonly input: Readable
  readonly out: Writable
  readonly err: Writable
  /** Called before anything is read that the configuration names. */
  readonly become?: (config: Config) => void
}

/** sysexits(3): a file can't be read. */
const noInput = 66

/** Answers the exit status. */
export async function sieveTest(argv: readonly string[], at: Surroundings): Promise<number> {
  const fail = (message: string, status: number): number => {
    at.err.write(`sieve-test: ${message}\n`)
    return status
  }
  try {
    const given = readArguments(argv)
    if (given.help) {
      at.out.write(usage)
      return 0
    }
    if (given.files.every((file) => file.endsWith('.svtest'))) return await runSuites(given, at.out)
    return given.user === undefined ? await alone(given, at) : await forUser(given, given.user, at)
  } catch (error) {
    if (error instanceof UsageError) return fail(`${error.message}\n${usage}`, exitCodes.usage)
    if (error instanceof ConfigError) return fail(error.message, exitCodes.config)
    if (error instanceof CannotTell) return fail(error.message, 1)
    if (error instanceof Error && 'code' in error && 'syscall' in error) return fail(error.message, noInput)
    throw error
  }
}

/** A script that belongs to nobody. */
async function alone(given: SieveTestArguments, at: Surroundings): Promise<number> {
  const [scriptFile, messageFile] = given.files as [string, string]
  const octets = await read(scriptFile, at)
  const script = compiled(octets, given, at)
  if (script === undefined) return 1
  const beside = async (_location: unknown, name: string) => {
    if (name.includes('/') || name.includes('\0')) return undefined
    return await readFile(join(dirname(scriptFile), `${name}.sieve`)).catch(() => undefined)
  }
  const environment: Environment = {
    now: Date.now(),
    script: beside,
    isNotifyMethod: async (uri) => /^mailto:/i.test(uri),
  }
  return await told([script], await read(messageFile, at), environment, given, at, octets)
}

async function forUser(given: SieveTestArguments, user: string, at: Surroundings): Promise<number> {
  const scriptFile = given.files.length === 2 ? given.files[0] : undefined
  const octets = scriptFile === undefined ? undefined : await read(scriptFile, at)
  const own = octets === undefined ? undefined : compiled(octets, given, at)
  if (octets !== undefined && own === undefined) return 1
  // Before this process goes on as somebody who may perhaps not read it.
  const message = await read(given.files.at(-1)!, at)
  return await withUser(
    user,
    { configFile: given.configFile, script: own, recipient: given.recipient, become: at.become },
    (scene) => {
      for (const { whose, problem } of scene.problems) at.err.write(`${whose} is not run: ${problemInWords(problem)}\n`)
      const to = given.recipient ?? scene.userId
      return told(scene.scripts, message, scene.environment, { ...given, recipient: to }, at, octets)
    },
  )
}

async function told(
  scripts: readonly Script[],
  octets: Buffer,
  environment: Environment,
  { json, trace, sender, recipient }: SieveTestArguments,
  at: Surroundings,
  source: Buffer | undefined,
): Promise<number> {
  const envelope = {
    ...(sender === undefined ? {} : { from: sender }),
    ...(recipient === undefined ? {} : { to: recipient }),
  }
  const message = messageOf(octets, envelope)
  const lines = source?.toString().split('\n')
  const steps: { readonly line: number; readonly text: string }[] = []
  const step = ({ line }: { readonly line: number }, text: string) => {
    if (json) steps.push({ line, text })
    else
      at.out.write(
        `${String(line).padStart(5)}  ${text.padEnd(24)} ${lines?.[line - 1]?.trim().slice(0, 100) ?? ''}`.trimEnd() +
          '\n',
      )
  }
  const outcome = await run(scripts, message, trace ? { ...environment, trace: step } : environment)
  if (json) {
    const whole = { envelope: message.envelope, ...outcome, ...(trace ? { steps } : {}) }
    at.out.write(`${JSON.stringify(whole, octetsAsText)}\n`)
  } else for (const line of outcomeInWords(outcome)) at.out.write(`${line}\n`)
  return outcome.error === undefined ? 0 : 1
}

const octetsAsText = (_key: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer' && 'data' in value
    ? Buffer.from(value.data as number[]).toString()
    : value

/** Undefined when it has errors, which are told. */
function compiled(
  octets: Buffer,
  { extensions, json }: SieveTestArguments,
  { out, err }: Surroundings,
): Script | undefined {
  const result = compile(octets, { extensions })
  const errors: readonly ScriptProblem[] = 'errors' in result ? result.errors : []
  if (json && errors.length > 0) out.write(`${JSON.stringify({ errors, warnings: result.warnings })}\n`)
  else {
    for (const problem of result.warnings) err.write(`warning: ${problemInWords(problem)}\n`)
    for (const problem of errors) err.write(`error: ${problemInWords(problem)}\n`)
  }
  return 'script' in result ? result.script : undefined
}

const read = (file: string, { input }: Surroundings): Promise<Buffer> => (file === '-' ? buffer(input) : readFile(file))
