/** RETURN options of SEARCH and its kin, and their ESEARCH response. RFC 4466 §2.6, RFC 4731 §3.1, §3.2, RFC 5182 §2.4, RFC 5267 §4, RFC 9394 §3.1 */

import { type FetchItem, readFetchAtts } from './fetch.ts'
import { type PartialRange, readPartialRange } from './partial-range.ts'
import { formatNumbersInPieces } from './sequence-set.ts'
import { type ThreadAlgorithm, threadAlgorithmOf } from './thread-algorithm.ts'
import type { TokenReader } from './token-reader.ts'

const words = ['ALL', 'CONTEXT', 'COUNT', 'MAX', 'MIN', 'SAVE', 'UPDATE'] as const

export interface ReturnOptions {
  /** ALL where the client named nothing. */
  readonly words: ReadonlySet<(typeof words)[number]>
  /** Not together with ALL. */
  readonly partial: PartialRange | undefined
  /** Of messages that come and are among the results, with UPDATE. RFC 5465 §7 */
  readonly items?: readonly FetchItem[] | undefined
  /** What INTHREAD and its kin go by. draft-ietf-morg-inthread-01 */
  readonly threading?: ThreadAlgorithm | undefined
}

/** `[SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"]`; undefined when it is not there. */
export function readReturnOptions(input: TokenReader): ReturnOptions | undefined {
  if (!input.tryWord(' RETURN')) return undefined
  input.sp()
  const chosen = new Set<(typeof words)[number]>()
  let partial: PartialRange | undefined
  let threading: ThreadAlgorithm | undefined
  let items: readonly FetchItem[] | undefined
  const option = () => {
    const name = input.keyword('search-return-opt')
    if (name === 'PARTIAL') {
      if (partial !== undefined) throw input.tokenFault('search-return-opt', 'one PARTIAL')
      input.sp()
      partial = readPartialRange(input)
      return
    }
    const algorithm = name.startsWith('THREAD=') ? threadAlgorithmOf(name.slice(7)) : undefined
    if (algorithm !== undefined) {
      threading = algorithm
      return
    }
    const known = words.find((word) => word === name)
    if (known === undefined) throw input.tokenFault('search-return-opt', `one of ${words.join(', ')}, PARTIAL`)
    chosen.add(known)
    if (known === 'UPDATE' && (input.tryString(' (') || input.tryString('('))) items = readFetchAtts(input)
  }
  input.parenthesised('search-return-opts', option, { empty: true })
  // RFC 9394 §3.1
  if (partial !== undefined && chosen.has('ALL')) throw input.fault('search-return-opts', 'either ALL or PARTIAL')
  if (partial === undefined && chosen.size === 0) chosen.add('ALL')
  return { words: chosen, partial, threading, items }
}

/** How many results from either end are told of or kept; undefined: all. RFC 4731 §3.1, RFC 5182 §2.4, RFC 9394 §3.2 */
export function endsOf({
  words,
  partial,
}: ReturnOptions): { readonly first: number; readonly last: number } | undefined {
  const isOfAll = words.has('ALL') || words.has('COUNT') || words.has('UPDATE')
  const isOfEnds = words.has('MIN') || words.has('MAX') || partial !== undefined
  if (isOfAll || !isOfEnds) return undefined
  const [low, high] =
    partial === undefined ? [0, 0] : [Math.min(partial.first, partial.last), Math.max(partial.first, partial.last)]
  return { first: Math.max(words.has('MIN') ? 1 : 0, high), last: Math.max(words.has('MAX') ? 1 : 0, -low) }
}

/** The part of `results` that the range names, in their order. */
export function partOf<T>(results: readonly T[], { first, last }: PartialRange): readonly T[] {
  const [low, high] = [Math.min(first, last), Math.max(first, last)]
  if (low > 0) return results.slice(low - 1, high)
  return results.slice(Math.max(0, results.length + low), Math.max(0, results.length + high + 1))
}

/** What an ESEARCH response tells; undefined: not asked for, or there is none. */
export interface EsearchData {
  readonly min: number | undefined
  readonly max: number | undefined
  readonly count: number | undefined
  /** Numbers in the order of the results. */
  readonly all: Iterable<number> | undefined
  /** The highest of these messages. RFC 4731 §3.2 */
  readonly modSeq: number | undefined
  readonly partial: { readonly range: PartialRange; readonly numbers: Iterable<number> } | undefined
}

const head = (tag: string, uid: boolean): string => `* ESEARCH (TAG "${tag}")${uid ? ' UID' : ''}`

/** `* ESEARCH (TAG "a1") UID MIN 2 COUNT 3 ALL 2,10:11`, in pieces. RFC 4466 §2.6.2 */
export function* formatEsearch(tag: string, uid: boolean, data: EsearchData): Generator<string, void, undefined> {
  let line = head(tag, uid)
  for (const name of ['min', 'max', 'count'] as const)
    if (data[name] !== undefined) line += ` ${name.toUpperCase()} ${data[name]}`
  yield line
  if (data.all !== undefined) {
    yield ' ALL '
    yield* formatNumbersInPieces(data.all)
  }
  if (data.partial !== undefined) {
    const { range, numbers } = data.partial
    yield ` PARTIAL (${range.first}:${range.last} `
    let isEmpty = true
    for (const piece of formatNumbersInPieces(numbers)) {
      isEmpty = false
      yield piece
    }
    yield isEmpty ? 'NIL)' : ')'
  }
  yield data.modSeq === undefined ? '\r\n' : ` MODSEQ ${data.modSeq}\r\n`
}

/** Numbers at a place in the results; 0: the client sorts them in, or finds them, by itself. RFC 5267 §4.3.3 */
export interface PlacedNumbers {
  readonly position: number
  /** At least one. */
  readonly numbers: readonly number[]
}

/** What is no longer, and what is newly among the results; RFC 5267 §4.3.3, §4.3.4 */
export function* formatUpdate(
  tag: string,
  uid: boolean,
  removed: readonly PlacedNumbers[],
  added: readonly PlacedNumbers[],
): Generator<string, void, undefined> {
  yield head(tag, uid)
  for (const [name, all] of [
    ['REMOVEFROM', removed],
    ['ADDTO', added],
  ] as const) {
    let separator = ` ${name} (`
    for (const { position, numbers } of all) {
      yield `${separator}${position} `
      yield* formatNumbersInPieces(numbers)
      separator = ' '
    }
    if (all.length > 0) yield ')'
  }
  yield '\r\n'
}
