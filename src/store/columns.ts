/** Columns of numbers, one for each property of messages, of which row n is message n. */

import { endianness } from 'node:os'

if (endianness() !== 'LE')
  throw new Error(
    'The store writes numbers as they lie in memory, lowest octet first; this machine has them the other way round',
  )

/** Whole numbers; 64 bits wide only once one of them doesn't fit 32. */
export type NumberColumn = Uint32Array | Float64Array

const maxUint32 = 0xffffffff
/** Rows of a column that is made. Grows to twice the rows each time. */
const firstRows = 8

export const fitsUint32 = (value: number) => value >= 0 && value <= maxUint32

/** The column with this number in this row: the same one, or a wider copy. */
export function withNumber(column: NumberColumn, row: number, value: number): NumberColumn {
  const wide = column instanceof Uint32Array && !fitsUint32(value) ? Float64Array.from(column) : column
  wide[row] = value
  return wide
}

/** A copy that has room for this number in any row. */
export function copyFor(column: NumberColumn, value: number): NumberColumn {
  return fitsUint32(value) ? column.slice() : Float64Array.from(column)
}

/** Rows to make room for when `rows` are needed and no more than `most` can come. */
export function rowsFor(rows: number, most: number): number {
  let room = firstRows
  while (room < rows) room *= 2
  return Math.max(rows, Math.min(room, most))
}

/** A copy with room for this many elements. */
export function withRoom<Column extends Uint16Array | Uint32Array | Float64Array>(
  column: Column,
  length: number,
): Column {
  const copy = new (column.constructor as new (length: number) => Column)(length)
  copy.set(column.subarray(0, length))
  return copy
}

/** Copies these rows of one column to `at` and after in another one; elements of a row lie together. */
export function copyRows(
  to: Uint16Array | Uint32Array | Float64Array,
  at: number,
  from: Uint16Array | Uint32Array | Float64Array,
  rows: ArrayLike<number>,
): void {
  for (let index = 0; index < rows.length; index += 1) to[at + index] = from[rows[index]!]!
}

/** The same for numbers that may need a wider column, which is then answered. */
export function copyNumbers(to: NumberColumn, at: number, from: NumberColumn, rows: ArrayLike<number>): NumberColumn {
  const wide = to instanceof Uint32Array && from instanceof Float64Array ? Float64Array.from(to) : to
  copyRows(wide, at, from, rows)
  return wide
}
