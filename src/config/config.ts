import type { OptionName, OptionValue } from './options.ts'

/** The options in force: validated, defaults filled in. Immutable; a reload makes a new one. */
export interface Config {
  /** Where it was read from; undefined for built-in defaults. */
  readonly file: string | undefined
  /** The typed value of an option; its default when the file does not set it. */
  get<N extends OptionName>(name: N): OptionValue<N>
  /** Whether the file sets it. */
  isSet(name: OptionName): boolean
}
