/** SORT's order of the messages of a search. RFC 5256 §3, RFC 5957 */

import type { KeyText } from '../mime/order-keys.ts'
import type { SortCriterion, SortKey } from '../proto/imap/sort.ts'
import { byNumber, byText, type Compare, inTurn, type OrderColumns, readColumns, sortIndexes } from './order.ts'
import type { View } from './view.ts'

export interface Sorted {
  readonly positions: readonly number[]
  /** Messages whose order is not known yet: they have not come from an old server. */
  readonly unseen: number
}

const textOf: Readonly<Partial<Record<SortKey, KeyText>>> = {
  CC: 'cc',
  DISPLAYFROM: 'displayFrom',
  DISPLAYTO: 'displayTo',
  FROM: 'from',
  SUBJECT: 'subject',
  TO: 'to',
}

/** `positions` ascend. What the criteria leave open is decided by the sequence number. */
export async function sortPositions(
  view: View,
  positions: readonly number[],
  criteria: readonly SortCriterion[],
): Promise<Sorted> {
  const needsKeys = criteria.some(({ key }) => key === 'DATE' || textOf[key] !== undefined)
  const wanted = criteria.map(({ key }) => textOf[key]).filter((text) => text !== undefined)
  const columns = needsKeys ? await readColumns(view, positions, wanted) : undefined
  const compares = criteria.map(({ key, reverse }) => {
    const compare = comparison(key, view, positions, columns)
    return reverse ? (a: number, b: number) => compare(b, a) : compare
  })
  const sorted = await sortIndexes(positions.length, inTurn(compares))
  return { positions: Array.from(sorted, (index) => positions[index]!), unseen: columns?.unseen ?? 0 }
}

function comparison(
  key: SortKey,
  view: View,
  positions: readonly number[],
  columns: OrderColumns | undefined,
): Compare {
  const text = textOf[key]
  if (text !== undefined) return byText(columns!.texts.get(text)!)
  if (key === 'DATE') return byNumber(columns!.sentAt)
  const number = key === 'SIZE' ? (at: number) => view.sizeAt(at) : (at: number) => view.internalDateAt(at)
  return byNumber(Float64Array.from(positions, number))
}
