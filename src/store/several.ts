/** Does the work for every item, for at most `atOnce` of them at the same time, begun in order. Throws the first failure when nothing is under way any more. */
export async function severalAtOnce<Item>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  let next = 0
  const goOn = async () => {
    while (next < items.length) {
      const item = items[next]!
      next += 1
      try {
        await work(item)
      } catch (error) {
        next = items.length
        throw error
      }
    }
  }
  const ended = await Promise.allSettled(Array.from({ length: Math.min(atOnce, items.length) }, goOn))
  for (const result of ended) if (result.status === 'rejected') throw result.reason
}
