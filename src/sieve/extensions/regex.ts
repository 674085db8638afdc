/** `:regex`. draft-murchison-sieve-regex-07; in time that grows with the text's length times the expression's. */

import { asciiCasemap, octet } from '../comparators.ts'
import type { Comparator, Extension, Matcher, Run } from '../language.ts'
import { BadKey } from '../match.ts'
import { Machine } from '../regex/machine.ts'
import { compileRegex, type Program } from '../regex/program.ts'
import { BadRegex } from '../regex/syntax.ts'

/** Steps of the machine that cost as much as one of a script. */
const stepsPerStep = 4
const stepsPerTurn = 50_000

export const regex: Extension = {
  capability: 'regex',
  matchTypes: [
    {
      name: 'regex',
      substring: true,
      matcher(key, comparator): Matcher {
        const program = programOf(key, comparator)
        return {
          size: program.instructions.length,
          matches: (value, _, run) => match(new Machine(program, value, run.has('variables')), run),
        }
      },
    },
  ],
}

/** Keys with variables are compiled each time they are met. */
function programOf(key: string, comparator: Comparator): Program {
  try {
    return compileRegex(key, comparator === octet ? 'none' : comparator === asciiCasemap ? 'ascii' : 'all')
  } catch (error) {
    if (!(error instanceof BadRegex)) throw error
    throw new BadKey(`the regular expression "${key.slice(0, 100)}" can't be used: ${error.message}`)
  }
}

function match(machine: Machine, run: Run): boolean | Promise<boolean> {
  const found = machine.run(stepsPerTurn)
  if (found === undefined) return matchOn(machine, run)
  run.spend(Math.ceil(machine.steps / stepsPerStep))
  return tell(machine, found, run)
}

async function matchOn(machine: Machine, run: Run): Promise<boolean> {
  let found: boolean | undefined
  let told = 0
  while (found === undefined) {
    run.spend(Math.ceil((machine.steps - told) / stepsPerStep))
    told = machine.steps
    await run.breathe()
    found = machine.run(stepsPerTurn)
  }
  return tell(machine, found, run)
}

function tell(machine: Machine, found: boolean, run: Run): boolean {
  if (found && run.has('variables')) run.matched(machine.groups)
  return found
}
