/** What is wrong, or doubtful, in a configuration file. */

export interface Finding {
  readonly severity: 'error' | 'warning'
  /** The file, or the DN of an entry in the directory; undefined when neither is involved. */
  readonly file: string | undefined
  /** From 1; undefined when it concerns the file as a whole. */
  readonly line: number | undefined
  readonly option: string | undefined
  /** Of the entry, where the option's value comes from the directory. */
  readonly attribute?: string | undefined
  /** What is wrong and what would be valid. Never a password. */
  readonly message: string
}

/** `ms.conf:12: imap_timeout: 20 is below the minimum 30; valid is …`, `cn=mail,o=a: mboxImapTimeout (imap_timeout): …` */
export const formatFinding = ({ file, line, option, attribute, message }: Finding): string => {
  const place = file === undefined ? '' : line === undefined ? `${file}: ` : `${file}:${line}: `
  const names = [attribute, attribute === undefined ? option : option && `(${option})`].filter(Boolean).join(' ')
  return `${place}${names === '' ? '' : `${names}: `}${message}`
}

/** A configuration that can't be used; the message has a line per error. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly findings: readonly Finding[]
  constructor(findings: readonly Finding[], options?: ErrorOptions) {
    const errors = findings.filter((finding) => finding.severity === 'error')
    super(errors.map(formatFinding).join('\n'), options)
    this.findings = findings
  }
}

/** The name among `known` that was probably meant: one edit away, two or three for longer names. */
export const nearest = (name: string, known: Iterable<string>): string | undefined => {
  const wanted = name.toLowerCase().replaceAll('-', '_')
  let best: string | undefined
  let distance = name.length < 4 ? 2 : name.length < 6 ? 3 : 4
  for (const candidate of known) {
    const edits = editDistance(wanted, candidate.toLowerCase(), distance)
    if (edits < distance) {
      best = candidate
      distance = edits
    }
  }
  return best
}

/** Levenshtein distance, or `limit` when it is not below that. */
const editDistance = (a: string, b: string, limit: number): number => {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++)
      current.push(
        Math.min(
          previous[column]! + 1,
          current[column - 1]! + 1,
          previous[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1),
        ),
      )
    previous = current
  }
  return Math.min(previous[b.length]!, limit)
}
