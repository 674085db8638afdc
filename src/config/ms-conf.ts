/**
 * Reads ms.conf: XML with the top element `ms_options`, an element for each option, the SASL ones inside `sasl` (LDAP-15).
 * Everything that is wrong is found in one go; an unknown option is a warning, so that a file of a newer version still works.
 */
import { dirname, resolve } from 'node:path'
import { loadUserDatabase } from './backends.ts'
import { type Config, makeConfig } from './config.ts'
import { ConfigError, type Finding, nearest } from './finding.ts'
import { Invalid, type Option, type OptionParent } from './option.ts'
import { type OptionName, optionNames, optionOf } from './options.ts'
import { readLimited } from './read-file.ts'
import { checkRelations } from './relations.ts'
import { parseXml, type XmlElement } from './xml.ts'

/** Read when no file is named; its absence means built-in defaults. LDAP-14 */
export const defaultConfigFile = '/etc/isode/ms.conf'
/** A configuration is some kilobytes; more than this is another file. */
const maxOctets = 1024 * 1024

export interface LoadedConfig {
  readonly config: Config
  readonly warnings: readonly Finding[]
}

/**
 * The configuration in `file`, or in the default file, or the built-in defaults when there is no default file.
 * Throws ConfigError with every finding when the file can't be read or has an error.
 */
export const loadConfig = async (file: string | undefined): Promise<LoadedConfig> => {
  const path = resolve(file ?? defaultConfigFile)
  let octets: Buffer
  try {
    octets = await readLimited(path, maxOctets)
  } catch (cause) {
    if (file === undefined && (cause as NodeJS.ErrnoException).code === 'ENOENT')
      return { config: makeConfig(undefined, new Map()), warnings: [] }
    if (cause instanceof ConfigError) throw cause
    const message = `can't be read: ${(cause as Error).message}`
    throw new ConfigError([{ severity: 'error', file: path, line: undefined, option: undefined, message }], { cause })
  }
  const { config, findings } = parseConfig(octets, path)
  if (config === undefined) throw new ConfigError(findings)
  return { config, warnings: findings }
}

/** Everything that is to say about a configuration file and the ms_sync.xml that it names; no configuration when the former can't be used. */
export const checkConfig = async (
  file: string | undefined,
): Promise<{ readonly config: Config | undefined; readonly findings: readonly Finding[] }> => {
  const findings: Finding[] = []
  let config: Config | undefined
  try {
    const loaded = await loadConfig(file)
    config = loaded.config
    findings.push(...loaded.warnings)
    findings.push(...(await loadUserDatabase(config)).warnings)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    findings.push(...error.findings)
  }
  return { config, findings: errorsFirst(findings) }
}

/** In place. */
export const errorsFirst = (findings: Finding[]): Finding[] =>
  findings.sort((a, b) => (a.severity === b.severity ? 0 : a.severity === 'error' ? -1 : 1))

/** The configuration in a file's octets; no configuration when a finding is an error. `file` is an absolute path. */
export const parseConfig = (
  octets: Buffer,
  file: string,
): { readonly config: Config | undefined; readonly findings: readonly Finding[] } => {
  const findings: Finding[] = []
  const report = (severity: Finding['severity'], line: number, option: string | undefined, message: string) =>
    findings.push({ severity, file, line, option, message })

  let root: XmlElement
  try {
    root = parseXml(octets, file)
  } catch (error) {
    if (error instanceof ConfigError) return { config: undefined, findings: error.findings }
    throw error
  }
  if (root.name !== 'ms_options') {
    report('error', root.line, undefined, `the top element is <${root.name}>; it must be <ms_options>`)
    return { config: undefined, findings }
  }

  const set = new Map<OptionName, unknown[]>()
  const lines = new Map<OptionName, number>()
  const readChildren = (parent: XmlElement, place: OptionParent) => {
    if (parent.text.trim() !== '')
      report(
        'error',
        parent.line,
        undefined,
        `<${parent.name}> holds text outside of options; remove it, or put it into the option that it belongs to`,
      )
    for (const element of parent.children) {
      if (place === 'ms_options' && element.name === 'sasl') {
        readChildren(element, 'sasl')
        continue
      }
      const name = findName(element.name, place)
      if (name === undefined) report('warning', element.line, element.name, unknownOption(element.name, place))
      else readOption(element, name)
    }
  }
  const readOption = (element: XmlElement, name: OptionName) => {
    const option = optionOf(name)
    const values = set.get(name)
    if (values !== undefined && !option.repeatable) {
      report('error', element.line, name, `is set twice, first in line ${lines.get(name)}; remove one`)
      return
    }
    let value: unknown
    try {
      value = option.read(element, dirname(file))
    } catch (error) {
      if (!(error instanceof Invalid)) throw error
      report('error', error.line ?? element.line, name, `${error.message}; valid is ${option.valid}`)
      return
    }
    if (values === undefined) {
      set.set(name, [value])
      lines.set(name, element.line)
    } else values.push(value)
    if (isDefault(option, value)) return
    if (option.refused !== undefined) report('error', element.line, name, withoutSupport(option.refused))
    else if (option.later !== undefined) report('warning', element.line, name, withoutEffect(option.later))
  }
  readChildren(root, 'ms_options')

  const config = makeConfig(file, set, lines)
  for (const { severity, option, message } of checkRelations(config))
    findings.push({ severity, file, line: config.lineOf(option), option, message })
  findings.sort((a, b) => (a.severity === b.severity ? (a.line ?? 0) - (b.line ?? 0) : a.severity === 'error' ? -1 : 1))
  return { config: findings.some(({ severity }) => severity === 'error') ? undefined : config, findings }
}

const withoutEffect = (later: string) =>
  later.startsWith('nothing: ')
    ? `has no effect: ${later.slice('nothing: '.length)}`
    : `has no effect yet: it waits for ${later}`

/** `value`: the one that is not supported, where others are. */
const withoutSupport = (what: string) => `needs ${what}, which this version does not have yet; remove the option`

const isDefault = (option: Option<unknown>, value: unknown) => JSON.stringify(value) === JSON.stringify(option.default)

const findName = (element: string, place: OptionParent): OptionName | undefined =>
  optionNames.find((name) => elementName(name) === element && optionOf(name).parent === place)

/** The element that an option is written as. */
export const elementName = (name: OptionName): string => name.slice(name.indexOf('/') + 1)

const unknownOption = (element: string, place: OptionParent): string => {
  const elsewhere = optionNames.find((name) => elementName(name) === element)
  if (elsewhere !== undefined)
    return place === 'sasl'
      ? 'belongs outside of <sasl>; it is ignored here'
      : 'belongs inside of <sasl>; it is ignored here'
  const near = nearest(element, optionNames.filter((name) => optionOf(name).parent === place).map(elementName))
  return near === undefined
    ? 'is not an option; it is ignored'
    : `is not an option; did you mean ${near}? It is ignored.`
}
