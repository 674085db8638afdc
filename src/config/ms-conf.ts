/**
 * Reads ms.conf: XML with the top element `ms_options`, an element for each option, the SASL ones inside `sasl` (LDAP-15).
 * Everything that is wrong is found in one go; an unknown option is a warning, so that a file of a newer version still works.
 */
import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { type Clock, systemClock } from '../base/clock.ts'
import { loadUserDatabase } from './backends.ts'
import { OptionFault } from './certificate-files.ts'
import { type Config, findingAt, makeConfig } from './config.ts'
import { Draft, type Outcome, type Setting } from './draft.ts'
import { ConfigError, type Finding, nearest } from './finding.ts'
import { type LoadedEntries, loadEntries, NothingLoaded, remember } from './ldap/load.ts'
import { type ConfigurationLocation, configurationLocation } from './ldap/location.ts'
import { settingsOf } from './ldap/settings.ts'
import type { OptionParent } from './option.ts'
import { type OptionName, optionNames, optionOf } from './options.ts'
import { readLimited } from './read-file.ts'
import { parseXml, type XmlElement } from './xml.ts'

/** Read when no file is named; its absence means built-in defaults. LDAP-14 */
export const defaultConfigFile = '/etc/isode/ms.conf'
/** A configuration is some kilobytes; more than this is another file. */
const maxOctets = 1024 * 1024

export interface LoadedConfig {
  readonly config: Config
  readonly warnings: readonly Finding[]
  /** Undefined when the file has all of it. */
  readonly directory: DirectoryPart | undefined
}

/** What came from the directory. */
export interface DirectoryPart {
  /** Remembered: the directory could not be asked. */
  readonly isCached: boolean
  /** Equal for equal entries. */
  readonly digest: string
}

export interface LoadOptions {
  /** Asks the directory ldap_connect_retries times, although a configuration of it is remembered: for a service that starts. */
  readonly patient?: boolean
  readonly clock?: Clock
}

/**
 * The configuration in `file`, or in the default file, or the built-in defaults when there is no default file; and what the directory has that the file names in
 * config_location, which goes before (LDAP-01).
 * Throws ConfigError with every finding when the file can't be read or has an error, and when the directory can't be asked and nothing of it is remembered.
 */
export const loadConfig = async (file: string | undefined, options: LoadOptions = {}): Promise<LoadedConfig> => {
  const path = resolve(file ?? defaultConfigFile)
  let octets: Buffer
  try {
    octets = await readLimited(path, maxOctets)
  } catch (cause) {
    if (file === undefined && (cause as NodeJS.ErrnoException).code === 'ENOENT')
      return { config: makeConfig(undefined, new Map()), warnings: [], directory: undefined }
    if (cause instanceof ConfigError) throw cause
    const message = `can't be read: ${(cause as Error).message}`
    throw new ConfigError([{ severity: 'error', file: path, line: undefined, option: undefined, message }], { cause })
  }
  const draft = draftOf(octets, path)
  await draft.unlock()
  // Where the file says wrongly what the directory is, the relations between options tell it.
  const location = hasErrors(draft.findings) ? undefined : locationOf(draft.config)
  const loaded = location === undefined ? undefined : await takeDirectory(draft, location, options)
  const { config, findings } = draft.finish()
  if (config === undefined) throw new ConfigError(findings)
  if (location === undefined || loaded === undefined) return { config, warnings: findings, directory: undefined }
  const warnings = [...findings, ...loaded.warnings, ...(await remember(location, config, loaded))]
  const digest = createHash('sha256').update(JSON.stringify(loaded.entries)).digest('base64')
  return { config, warnings, directory: { isCached: loaded.isCached, digest } }
}

const hasErrors = (findings: readonly Finding[]) => findings.some(({ severity }) => severity === 'error')

const locationOf = (config: Config): ConfigurationLocation | undefined => {
  try {
    return configurationLocation(config)
  } catch (error) {
    if (error instanceof OptionFault) return undefined
    throw error
  }
}

/** Throws ConfigError. */
const takeDirectory = async (
  draft: Draft,
  location: ConfigurationLocation,
  { patient = false, clock = systemClock }: LoadOptions,
): Promise<LoadedEntries> => {
  const { config } = draft
  try {
    const loaded = await loadEntries(location, config, patient, clock)
    const { settings, findings } = settingsOf(loaded.entries)
    draft.note(...findings)
    draft.take(settings)
    return loaded
  } catch (error) {
    const option =
      error instanceof NothingLoaded ? 'config_location' : error instanceof OptionFault ? error.option : undefined
    if (option === undefined) throw error
    throw new ConfigError([findingAt(config, 'error', option, (error as Error).message), ...draft.findings], {
      cause: error,
    })
  }
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

/** The configuration in a file's octets, without what a directory has; no configuration when a finding is an error. `file` is an absolute path. */
export const parseConfig = (octets: Buffer, file: string): Outcome => draftOf(octets, file).finish()

/** What a file says, before the relations between its options are looked at. */
const draftOf = (octets: Buffer, file: string): Draft => {
  const draft = new Draft(file)
  const report = (severity: Finding['severity'], line: number, option: string | undefined, message: string) =>
    draft.note({ severity, file, line, option, message })

  let root: XmlElement
  try {
    root = parseXml(octets, file)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    draft.note(...error.findings)
    return draft
  }
  if (root.name !== 'ms_options') {
    report('error', root.line, undefined, `the top element is <${root.name}>; it must be <ms_options>`)
    return draft
  }
  const settingsOf = function* (parent: XmlElement, within: OptionParent): Generator<Setting> {
    if (parent.text.trim() !== '')
      report(
        'error',
        parent.line,
        undefined,
        `<${parent.name}> holds text outside of options; remove it, or put it into the option that it belongs to`,
      )
    for (const element of parent.children) {
      if (within === 'ms_options' && element.name === 'sasl') {
        yield* settingsOf(element, 'sasl')
        continue
      }
      const name = findName(element.name, within)
      if (name === undefined) report('warning', element.line, element.name, unknownOption(element.name, within))
      else yield { name, element, place: { source: file, line: element.line } }
    }
  }
  draft.take(settingsOf(root, 'ms_options'))
  return draft
}

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
