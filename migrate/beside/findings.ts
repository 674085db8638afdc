/** What of an old server's things beside mail was given here and what was not, in words for an operator. Bounded: the record of a migration is a small file. */
import type { Beside } from '../records/record.ts'

export const maxLines = 100
const maxLineLength = 500
const namesShown = 5

export class Findings {
  readonly #given: string[] = []
  readonly #notGiven: string[] = []
  /** Mailboxes by what is to be said of them. */
  readonly #grouped = new Map<string, string[]>()

  given(line: string): void {
    this.#given.push(line)
  }

  notGiven(line: string): void {
    this.#notGiven.push(line)
  }

  /** The same of several mailboxes is one line. */
  notGivenOn(mailbox: string, line: string): void {
    const known = this.#grouped.get(line)
    if (known === undefined) this.#grouped.set(line, [mailbox])
    else known.push(mailbox)
  }

  get all(): Beside {
    const grouped = Array.from(this.#grouped, ([line, mailboxes]) => `${line} (${listed(mailboxes)})`)
    return { given: bounded(this.#given), notGiven: bounded([...this.#notGiven, ...grouped]) }
  }
}

const bounded = (lines: readonly string[]): readonly string[] => [
  ...lines.slice(0, maxLines).map((line) => line.slice(0, maxLineLength)),
  ...(lines.length > maxLines ? [`and ${lines.length - maxLines} more`] : []),
]

const listed = (names: readonly string[]): string => {
  const shown = names.slice(0, namesShown).map((name) => JSON.stringify(name.slice(0, 80)))
  return `${shown.join(', ')}${names.length > namesShown ? ` and ${names.length - namesShown} more` : ''}`
}
