import { globSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { listenerServices } from '#src/config/listeners.ts'
import { type OptionName, optionNames, optionOf } from '#src/config/options.ts'

const root = resolve(import.meta.dirname, '../..')
const code = globSync('{src,gateway,migrate}/**/*.ts', { cwd: root })
  .filter((file) => !file.startsWith('src/config/options') && file !== 'src/config/relations.ts')
  .map((file) => readFileSync(resolve(root, file), 'utf8'))
  .join('\n')

/** The reader of pairs makes these names. */
const pairs = listenerServices.flatMap((service) => [`${service}_host`, `${service}_port`])
const isRead = (name: OptionName) =>
  pairs.includes(name) ? code.includes(`'${name.replace(/_\w+$/, '')}'`) : code.includes(`'${name}'`)

it('an option that is accepted without a remark is read by some code', () => {
  const accepted = optionNames.filter(
    (name) => optionOf(name).later === undefined && optionOf(name).refused === undefined,
  )
  expect(accepted.filter((name) => !isRead(name))).toEqual([])
})
