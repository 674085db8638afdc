import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { optionsReference } from '#src/config/document.ts'
import { elementName } from '#src/config/ms-conf.ts'
import { optionNames } from '#src/config/options.ts'

it('docs/options.md is current: node src/config/document.ts > docs/options.md', () => {
  const file = resolve(import.meta.dirname, '../../docs/options.md')
  expect(readFileSync(file, 'utf8')).toBe(optionsReference())
})

it('the reference has every option', () => {
  const text = optionsReference()
  for (const name of optionNames) expect(text, name).toContain(`\n### \`${elementName(name)}\`\n`)
})
