import { Resolver } from 'node:dns/promises'

/** Reverse look-ups that did not end by then are not waited for. */
const LOOKUP_MS = 2000

/** Host names of client addresses, each asked once, all at the same time; an address without one keeps itself. MON-03 */
export async function hostNames(addresses: Iterable<string>): Promise<(address: string) => string> {
  const resolver = new Resolver({ timeout: LOOKUP_MS, tries: 1 })
  const names = new Map<string, string>()
  await Promise.all(
    [...new Set(addresses)].map(async (address) => {
      const found = await resolver.reverse(address).catch(() => [])
      if (found[0] !== undefined) names.set(address, found[0])
    }),
  )
  return (address) => names.get(address) ?? address
}
