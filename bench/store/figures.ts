/** One measured step. */
export interface Figure {
  readonly step: string
  readonly store: string
  readonly messages: number
  readonly wallMs: number
  /** Of the process that has the mailbox open, its helper threads included. */
  readonly cpuMs: number
}

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!

/** A figure for each step, store and size: the medians of its repetitions. */
export function medians(figures: readonly Figure[]): Figure[] {
  const groups = Map.groupBy(figures, ({ step, store, messages }) => `${step}\n${store}\n${messages}`)
  return Array.from(groups.values(), (group) => ({
    ...group[0]!,
    wallMs: median(group.map(({ wallMs }) => wallMs)),
    cpuMs: median(group.map(({ cpuMs }) => cpuMs)),
  }))
}
