/** What the site's filters think of the message. RFC 5235. How they say it, the environment tells. */

import type { Extension, Run, TestSpec } from '../language.ts'
import { Machine } from '../regex/machine.ts'
import { compileRegex, type Program } from '../regex/program.ts'
import type { Score } from '../types.ts'

const keys = [{ name: 'keys', type: 'string-list' }] as const

const spamtest: TestSpec = {
  name: 'spamtest',
  positional: keys,
  matches: true,
  tags: [{ name: 'percent', capability: 'spamtestplus' }],
  compile(given) {
    const { matching } = given
    return (run) => {
      const severity = severityOf(run.environment.spam, run, 10)
      if (matching.counts) return matching.any(severity === undefined ? [] : [''], run)
      if (given.has('percent')) return matching.any([percent(severity)], run)
      // 1 is clear of spam, 10 is spam. §3.2.1
      return matching.any(
        [String(severity === undefined ? 0 : (severity.value ?? 1 + Math.floor(severity.fraction * 9)))],
        run,
      )
    }
  },
}

const virustest: TestSpec = {
  name: 'virustest',
  positional: keys,
  matches: true,
  compile(given) {
    const { matching } = given
    return (run) => {
      const severity = severityOf(run.environment.virus, run, 5)
      if (matching.counts) return matching.any(severity === undefined ? [] : [''], run)
      return matching.any(
        [String(severity === undefined ? 0 : (severity.value ?? 1 + Math.floor(severity.fraction * 4)))],
        run,
      )
    }
  },
}

/** Either of the two has the test; `:percent` is of the second. §3.2 */
export const spamtestExtension: Extension = { capability: 'spamtest', tests: [spamtest] }
export const spamtestplus: Extension = { capability: 'spamtestplus', implies: ['spamtest'] }
export const virustestExtension: Extension = { capability: 'virustest', tests: [virustest] }

interface Severity {
  /** 0 to 1. */
  readonly fraction: number
  /** Where the site says it in the test's own numbers. */
  readonly value?: number | undefined
}

const percent = (severity: Severity | undefined) =>
  String(severity === undefined ? 0 : Math.floor(severity.fraction * 100))

/** undefined: not tested, or nobody knows. */
function severityOf(score: Score | undefined, run: Run, most: number): Severity | undefined {
  const field = score === undefined ? undefined : run.message.fieldsNamed(score.field)[0]
  if (score === undefined || field === undefined) return undefined
  if (score.texts !== undefined) {
    const value = score.texts[field.text]
    return value === undefined ? undefined : { value, fraction: Math.max(0, value - 1) / (most - 1) }
  }
  const machine = new Machine(programOf(score.pattern ?? '(-?[0-9]+(\\.[0-9]+)?)'), field.text.slice(0, 1000), true)
  let found = machine.run(1_000_000)
  while (found === undefined) found = machine.run(1_000_000)
  const [whole, group] = machine.groups
  const number = found ? Number.parseFloat(group || whole || '') : Number.NaN
  if (Number.isNaN(number)) return undefined
  return { fraction: Math.min(1, Math.max(0, number / score.max)) }
}

/** The last one: a site has one pattern for each test. */
const programs = new Map<string, Program>()

function programOf(pattern: string): Program {
  const known = programs.get(pattern)
  if (known !== undefined) return known
  const program = compileRegex(pattern, 'ascii')
  if (programs.size > 16) programs.clear()
  programs.set(pattern, program)
  return program
}
