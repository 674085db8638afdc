/** What the proofs have tried and found, as a table and as JSON. */

import type { Result } from './jobs.ts'

interface Row {
  cases: number
  busyMs: number
  violations: number
  readonly details: Record<string, number>
}

export class Table {
  private readonly rows = new Map<string, Row>()
  readonly faults: string[] = []

  /** `busyMs`: of a processor. */
  add(proof: string, { cases, details, faults }: Result, busyMs: number): void {
    let row = this.rows.get(proof)
    if (row === undefined) {
      row = { cases: 0, busyMs: 0, violations: 0, details: {} }
      this.rows.set(proof, row)
    }
    row.cases += cases
    row.busyMs += busyMs
    row.violations += faults.length
    for (const [name, count] of Object.entries(details)) row.details[name] = (row.details[name] ?? 0) + count
    this.faults.push(...faults.map((fault) => `${proof}: ${fault}`))
  }

  cases(proof: string): number {
    return this.rows.get(proof)?.cases ?? 0
  }

  toJSON(): object {
    return { proofs: Object.fromEntries(this.rows), violations: this.faults }
  }

  toString(): string {
    const rows = Array.from(this.rows, ([proof, { cases, busyMs, violations, details }]) => [
      proof,
      numberText(cases),
      numberText(violations),
      String(Math.round(busyMs / 1000)),
      Object.entries(details)
        .map(([name, count]) => `${numberText(count)} ${name}`)
        .join(', '),
    ])
    return aligned([['proof', 'cases', 'violations', 'CPU seconds', 'of which'], ...rows])
  }
}

function numberText(value: number): string {
  return value < 1e15 ? value.toLocaleString('en') : value.toExponential(1)
}

/** Columns, as wide as they need to be. */
export function aligned(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
