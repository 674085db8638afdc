/** VANISHED: UIDs of what left the mailbox. RFC 7162 §3.2.10, §7 rule expunged-resp */

/** UIDs from `first` to `last`, both included. */
interface Range {
  readonly first: number
  readonly last: number
}

/** A response has not more octets than this, and some. */
const responseOctets = 8 * 1024

/** `* VANISHED (EARLIER) 41,43:116`: one response or several; none for no ranges. `earlier`: before the client was told of the mailbox. */
export function* formatVanished(ranges: Iterable<Range>, earlier: boolean): Generator<string, void, undefined> {
  const head = earlier ? '* VANISHED (EARLIER) ' : '* VANISHED '
  let set = ''
  for (const { first, last } of ranges) {
    set += `${set === '' ? '' : ','}${first === last ? first : `${first}:${last}`}`
    if (set.length < responseOctets) continue
    yield `${head}${set}\r\n`
    set = ''
  }
  if (set !== '') yield `${head}${set}\r\n`
}
