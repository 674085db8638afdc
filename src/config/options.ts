/** Stands in until the table of options lands. */
export type OptionName = string
export type OptionValue<_N extends OptionName> = unknown
