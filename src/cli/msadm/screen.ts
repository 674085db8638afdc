/** Some lines of a terminal that are drawn again and again in one place. */
import type { Writable } from 'node:stream'

/** Draws; 'end' leaves what was drawn last. */
export type Screen = (lines: readonly string[] | 'end') => void

export const screenOn = (terminal: Writable & { readonly columns?: number; readonly rows?: number }): Screen => {
  let drawn = 0
  return (lines) => {
    if (lines === 'end') {
      drawn = 0
      return
    }
    const { columns = 80, rows = 24 } = terminal
    // A line that wraps, or scrolls, would not be found again; what an old server said does nothing to the terminal.
    const shown = lines
      .slice(0, rows - 1)
      .map((line) => `${line.replace(/[\x00-\x1f\x7f-\x9f]/g, ' ').slice(0, columns - 1)}\x1b[K\n`)
    const up = drawn === 0 ? '' : `\x1b[${drawn}A\r`
    terminal.write(`${up}${shown.join('')}\x1b[J`)
    drawn = shown.length
  }
}
