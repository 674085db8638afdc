/** What a hostile script may take before it is run. */
import { expect, it } from 'vitest'
import { compileRegex } from '#src/sieve/regex/program.ts'
import { faultsOf } from './run-script.ts'

it('a repeated set of characters is worked out once', () => {
  const { instructions } = compileRegex('(a{1,200}){1,10}', 'all')
  expect(instructions.length).toBeGreaterThan(2_000)
  expect(new Set(instructions.filter(({ op }) => op === 'set')).size).toBe(1)
})

it('the regular expressions of a script are limited together, in one test and in many', () => {
  const all = (test: string) => `require "regex";\n${test}`
  const dear = '"(a{1,200}){1,10}"'
  const together = [expect.stringMatching(/too large together/)]
  expect(faultsOf(all(`if header :regex "a" ${dear} { keep; }\n`.repeat(10)))).toEqual([])
  expect(faultsOf(all(`if header :regex "a" [${Array(100).fill(dear).join()}] { keep; }`))).toEqual(together)
  const many = faultsOf(all(`if header :regex "a" ${dear} { keep; }\n`.repeat(100)))
  expect(many[0]).toMatch(/too large together/)
  expect(faultsOf(all('if header :regex "a" ["a+", "b|c"] { keep; }\n'.repeat(200)))).toEqual([])
  // What can't be used has been worked at too.
  expect(faultsOf(all('if header :regex "a" "(a{1,200}){1,200}" { keep; }\n'.repeat(100)))[0]).toMatch(
    /it is too large/,
  )
})
