import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { elementName } from '#src/config/ms-conf.ts'
import { recordRows } from '#src/config/options/records.ts'
import { optionNames, optionOf } from '#src/config/options.ts'

interface SpecEntry {
  readonly section: string
  readonly name: string
  readonly parent: string
  readonly ldap_attribute: string | null
  readonly type: string
  readonly unit: string | null
  readonly default: boolean | number | string | null
  readonly values: { readonly min?: number; readonly max?: number; readonly allowed?: readonly unknown[] } | null
  readonly services: readonly string[]
}

/** Where the specification leaves open what the table has to settle. */
const settled: Readonly<Record<string, unknown>> = {
  // None is documented although a value below 1 is not allowed.
  thread_pool_min: 1,
  // The section that would name it is lost; denying would lock everybody out.
  default_new_service_access: 'allow',
  // Computed from other options, or without meaning here.
  smtp_injection_sender: undefined,
  plugin_dir: undefined,
}

const file = resolve(import.meta.dirname, '../../../shared/spec/options.json')
const spec: readonly SpecEntry[] = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : []
if (spec.length === 0) console.log('the specification of the options is absent: the table is not compared with it')

const table = [
  ...optionNames.map((name) => ({ name: elementName(name), ...optionOf(name) })),
  ...optionNames.flatMap((name) => optionOf(name).attributes ?? []),
  ...recordRows,
].filter((row) => row.section !== 'own' && !('own' in row))

describe('the table of options', () => {
  it('has every entry of the specification once, and nothing else', () => {
    if (spec.length === 0) return
    const key = ({ parent, name }: { parent: string; name: string }) => `${parent} ${name}`
    expect(table.map(key).sort()).toEqual(spec.map(key).sort())
  })

  it.each(spec.map((entry) => [`${entry.parent} ${entry.name}`, entry] as const))('%s is as specified', (_, entry) => {
    const row = table.find(({ name, parent }) => name === entry.name && parent === entry.parent)!
    expect(row.section).toBe(entry.section)
    expect([...row.services].sort()).toEqual([...entry.services].sort())
    expect(row.ldap ?? null).toBe(entry.ldap_attribute)
    expect(row.unit ?? null).toBe(entry.unit)
    expect(row.type).toBe(entry.type)
    if ('default' in row) {
      const expected = Object.hasOwn(settled, entry.name) ? settled[entry.name] : (entry.default ?? undefined)
      const actual = Array.isArray(row.default)
        ? row.default.join(',')
        : JSON.stringify(row.default) === '{}'
          ? ''
          : row.default
      expect(actual).toBe(typeof expected === 'string' ? expected.replaceAll(', ', ',') : expected)
    }
    if (entry.values?.min !== undefined && !('special' in row)) expect('min' in row && row.min).toBe(entry.values.min)
    if (entry.values?.max !== undefined) expect('max' in row && row.max).toBe(entry.values.max)
  })

  it('has a line of documentation for everything', () => {
    for (const row of table) expect(row.doc, row.name).toMatch(/\S.*[.)]$/)
  })
})
