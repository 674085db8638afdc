/** Lets others run between the pieces of a long computation. */
export const breath = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Items looked at before others get their turn: a few ms. */
const itemsPerTurn = 250

/** The items, with a turn for others now and then. */
export async function* inTurns<T>(items: Iterable<T>): AsyncIterable<T> {
  let count = 0
  for (const item of items) {
    yield item
    count += 1
    if (count % itemsPerTurn === 0) await breath()
  }
}
