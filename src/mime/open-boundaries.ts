/**
 * The boundaries of the multiparts that are open, as a tree of octets: a line is compared with all of them at once, in time that depends
 * on the line and not on how many there are.
 */

interface Node {
  readonly next: Map<number, Node>
  /** Levels whose boundary ends here, outer before inner. */
  readonly levels: number[]
}

const makeNode = (): Node => ({ next: new Map(), levels: [] })

export class OpenBoundaries {
  readonly #root = makeNode()

  /** `boundary`: octets in latin1. */
  add(boundary: string, level: number): void {
    let node = this.#root
    for (let at = 0; at < boundary.length; at++) {
      const octet = boundary.charCodeAt(at)
      let next = node.next.get(octet)
      if (next === undefined) {
        next = makeNode()
        node.next.set(octet, next)
      }
      node = next
    }
    node.levels.push(level)
  }

  /** Takes back what `add` has added. */
  remove(boundary: string, level: number): void {
    const path = [this.#root]
    for (let at = 0; at < boundary.length; at++) path.push(path[at]!.next.get(boundary.charCodeAt(at))!)
    const { levels } = path.at(-1)!
    levels.splice(levels.indexOf(level), 1)
    for (let at = boundary.length; at > 0 && isUnused(path[at]!); at--)
      path[at - 1]!.next.delete(boundary.charCodeAt(at - 1))
  }

  /**
   * The level whose boundary stands at `from`, undefined for none. The boundary need not fill the line (RFC 2046 §5.1.1), so where
   * one is the beginning of another the longer one is meant; where they are equal, the inner.
   */
  find(octets: Uint8Array, from: number, to: number): number | undefined {
    let node: Node | undefined = this.#root
    let found: number | undefined
    for (let at = from; at < to; at++) {
      node = node.next.get(octets[at]!)
      if (node === undefined) break
      found = node.levels.at(-1) ?? found
    }
    return found
  }
}

function isUnused({ next, levels }: Node): boolean {
  return next.size === 0 && levels.length === 0
}
