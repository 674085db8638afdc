/** Bounds on what a script can make us hold or do. Counts and octets; the unit is in the name. */

export const scriptLimits = {
  /** Of one script; what may be uploaded is an option of sieved and usually less. */
  scriptOctets: 1024 * 1024,
  /** Blocks, tests and string lists inside one another. RFC 5228 §2.10.7 wants 15. */
  depth: 64,
  commands: 50_000,
  strings: 100_000,
  /** Of a command, test or tag. */
  nameCharacters: 64,
  /** Of one string. */
  stringCharacters: 256 * 1024,
  /** RFC 5228 §2.4.1 wants 2^31 - 1. */
  number: Number.MAX_SAFE_INTEGER,
  /** Of all regular expressions of one script whose keys are constant. */
  regexInstructions: 100_000,
  /** Problems that are told of one script. */
  problems: 20,
} as const

export const runLimits = {
  /** Default of `Environment.maxSteps`: about a second of one processor. */
  steps: 5_000_000,
  /** Steps before others get their turn of the event loop. */
  turnSteps: 20_000,
  actions: 32,
  redirects: 5,
  warnings: 20,
  /** Scripts that include one another. RFC 6609 §3.2 leaves the number to us. */
  includeDepth: 10,
  /** Different scripts that one run includes. */
  includes: 255,
  /** Distinct variables of one script. RFC 5229 §6 wants 128. */
  variables: 1024,
  variableNameCharacters: 64,
  /** RFC 5229 §6 wants 4000; longer values are cut. */
  variableCharacters: 64 * 1024,
  /** RFC 5229 §6 wants 9. */
  matchVariables: 99,
  /** Of the bodies that the `body` tests of a run look at. */
  bodyOctets: 4 * 1024 * 1024,
  /** Of one part of it. */
  partOctets: 256 * 1024,
  /** Of one header field, as tests see it. */
  fieldOctets: 64 * 1024,
  /** Of the header; fields behind are not seen, and stay as they are. */
  headerOctets: 512 * 1024,
  /** Header fields that are looked at in one turn of the event loop. */
  turnFields: 200,
  /** Of a regular expression; counted repetitions are unrolled. */
  regexInstructions: 5_000,
} as const
