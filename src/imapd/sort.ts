/** SORT's order of the messages of a search. RFC 5256 §3, RFC 5957 */

import type { KeyText } from '../mime/order-keys.ts'
import type { SortCriterion, SortKey } from '../proto/imap/sort.ts'
import {
  byNumber,
  byText,
  type Compare,
  inTurn,
  numberColumn,
  type Ordering,
  readColumns,
  sortIndexes,
} from './order.ts'
import { Slice } from './slice.ts'

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
  session: Ordering,
  positions: readonly number[],
  criteria: readonly SortCriterion[],
): Promise<Sorted> {
  const slice = new Slice()
  const { view } = session
  const needsKeys = criteria.some(({ key }) => key === 'DATE' || textOf[key] !== undefined)
  const wanted = criteria.map(({ key }) => textOf[key]).filter((text) => text !== undefined)
  const columns = needsKeys ? await readColumns(session, positions, wanted, slice) : undefined
  const compares: Compare[] = []
  for (const { key, reverse } of criteria) {
    const compare = await comparison(key)
    compares.push(reverse ? (a, b) => compare(b, a) : compare)
  }
  const sorted = await sortIndexes(positions.length, inTurn(compares), slice)
  const result: number[] = []
  for (const index of sorted) {
    result.push(positions[index]!)
    if (slice.isOver()) await slice.next()
  }
  return { positions: result, unseen: columns?.unseen ?? 0 }

  async function comparison(key: SortKey): Promise<Compare> {
    const text = textOf[key]
    if (text !== undefined) return byText(columns!.texts.get(text)!)
    if (key === 'DATE') return byNumber(columns!.sentAt)
    const numberAt = (position: number) => (key === 'SIZE' ? view.sizeAt(position) : view.internalDateAt(position))
    return byNumber(await numberColumn(positions, numberAt, slice))
  }
}
