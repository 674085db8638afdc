/** Scripts in scripts. RFC 6609 */

import type { Arguments, Extension, Namespace, Run } from '../language.ts'
import { perRun } from '../language.ts'
import { runLimits } from '../limits.ts'
import { isVariableName, nameRule } from './variables.ts'

/** By location and name: what the run has included. */
const included = perRun(() => new Set<string>())

const global: Namespace = {
  name: 'global',
  get: (name, run) => run.sharedVariable(name),
  set: (name, value, run) => run.setSharedVariable(name, value),
}

export const include: Extension = {
  capability: 'include',
  namespace: global,
  commands: [
    {
      name: 'include',
      tags: [{ name: 'personal', excludes: ['global'] }, { name: 'global' }, { name: 'once' }, { name: 'optional' }],
      positional: [{ name: 'name', type: 'string', constant: true }],
      compile(given, context) {
        const name = given.text('name').constant ?? ''
        if (!isScriptName(name))
          context.error(
            given.text('name').position,
            'no script can have this name: use 1 to 128 characters, no control characters and no "/"',
          )
        return (run) => includeScript(given, name, run)
      },
    },
    { name: 'return', compile: () => (run) => run.leave() },
    {
      name: 'global',
      positional: [{ name: 'names', type: 'string-list', constant: true }],
      compile(given, context) {
        if (!context.has('variables'))
          context.error(given.position, '"global" needs the extension "variables": add require "variables";')
        const names = (given.texts('names').constant ?? []).map((name) => name.toLowerCase())
        for (const { constant, position } of given.texts('names').items)
          if (constant !== undefined && !isVariableName(constant))
            context.error(position, `"${constant.slice(0, 80)}" is no name of a variable: ${nameRule}`)
        return (run) => {
          for (const name of names) {
            if (run.variable(name) !== '' && run.variable(name) !== run.sharedVariable(name))
              run.fail(given.position, `"${name}" has been set before: put "global" before its first "set"`)
            run.shareVariable(name)
          }
        }
      },
    },
  ],
}

async function includeScript(given: Arguments, name: string, run: Run): Promise<void> {
  const location = given.has('global') ? 'global' : 'personal'
  const key = `${location}/${name}`
  const known = included(run)
  const isRecursive = run.callers.includes(key)
  if (given.has('once') && (isRecursive || known.has(key))) return
  const { position } = given
  const shown = `the ${location} script "${name}"`
  if (isRecursive) run.fail(position, `${shown} includes itself: take one of its includes out, or add :once`)
  if (run.callers.length >= runLimits.includeDepth)
    run.fail(position, `more than ${runLimits.includeDepth} scripts include one another: use fewer`)
  if (!known.has(key) && known.size >= runLimits.includes)
    run.fail(position, `more than ${runLimits.includes} scripts are included: use fewer`)
  const octets = await run.environment.script?.(location, name)
  if (octets === undefined) {
    if (given.has('optional')) return
    run.fail(position, `there is no ${location} script "${name}": upload it, or add :optional`)
  }
  known.add(key)
  const compiled = run.compile(octets)
  if ('errors' in compiled) {
    const { line, text } = compiled.errors[0]!
    run.fail(position, `${shown} has faults; line ${line}: ${text}`)
  }
  run.spend(1 + (octets.length >> 6))
  run.call(compiled.script, key)
}

/** RFC 5804 §1.6, and no way out of a directory. */
const isScriptName = (name: string) =>
  name !== '' &&
  name.length <= 128 &&
  name.isWellFormed() &&
  !/[\0-\x1f\x7f-\x9f\u2028\u2029/]/.test(name) &&
  !/^\.{1,2}$/.test(name)
