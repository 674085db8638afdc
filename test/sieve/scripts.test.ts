/** Every section of the RFCs of Sieve, their examples included: the cases of `scripts/`. */
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { compile } from '#src/sieve/compile.ts'
import { actionText, compiled, everything, problemText, readCases, runCase, sameLines } from './transcript.ts'

for (const file of globSync(join(import.meta.dirname, 'scripts/*.txt')).sort())
  describe(basename(file, '.txt'), () => {
    for (const one of readCases(readFileSync(file, 'utf8')))
      test(one.title, async () => {
        const { sections } = one
        const check = (name: string, found: readonly string[]) => {
          const section = sections.get(name)
          if (section === undefined) return
          const lines = sameLines(found, section)
          expect(lines.found).toBe(lines.expected)
        }
        for (const answer of ['true', 'false'])
          for (const line of (sections.get(answer) ?? '').split('\n').filter((text) => text !== '')) {
            const script = compiled(
              `${everything}${sections.get('setup') ?? ''}\nif ${line} { discard; } else { keep; }`,
            )
            const { actions, error } = await runCase(one, [script])
            expect(`${line}: ${error?.text ?? actions.map(({ type }) => type === 'discard')}`).toBe(
              `${line}: ${answer}`,
            )
          }
        const text = sections.get('script')
        if (text === undefined) return
        const result = compile(Buffer.from(text.replaceAll('\n', '\r\n')))
        if ('errors' in result) {
          check('problems', result.errors.map(problemText))
          expect(sections.get('problems'), result.errors.map(problemText).join('\n')).toBeDefined()
          return
        }
        expect(sections.get('problems')).toBeUndefined()
        const global = sections.get('global')
        const outcome = await runCase(one, [...(global === undefined ? [] : [compiled(global)]), result.script])
        expect(outcome.error === undefined ? '' : problemText(outcome.error)).toMatch(
          sections.has('fails') ? /./ : /^$/,
        )
        if (outcome.error !== undefined) check('fails', [problemText(outcome.error)])
        check(
          'actions',
          outcome.actions.flatMap((action) => actionText(action).split('\n')),
        )
        check('warnings', [...result.warnings, ...outcome.warnings].map(problemText))
      })
  })
