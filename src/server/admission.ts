/** How many clients are let in, before anything of theirs is read. */
import { connectionLimits } from '../base/limits.ts'

export interface AdmissionLimits {
  readonly total: number
  readonly unauthenticated: number
  readonly unauthenticatedPerAddress: number
}

/** One connection's places. */
export interface Admitted {
  /** Gives the place among the unauthenticated back. */
  authenticated(): void
  /** Gives every place back. */
  gone(): void
}

/** Counts the connections of a process against limits. */
export class Admission {
  readonly #limits: AdmissionLimits
  readonly #unauthenticatedBy = new Map<string, number>()
  #total = 0
  #unauthenticated = 0

  constructor(limits: AdmissionLimits = connectionLimits) {
    this.#limits = limits
  }

  /** `address` is undefined for a client on this machine that came by a Unix socket. Answers the reason of a refusal. */
  admit(address: string | undefined): Admitted | string {
    const network = address === undefined ? undefined : networkOf(address)
    const others = network === undefined ? 0 : (this.#unauthenticatedBy.get(network) ?? 0)
    if (this.#total >= this.#limits.total) return `${this.#total} connections`
    if (this.#unauthenticated >= this.#limits.unauthenticated) return `${this.#unauthenticated} without login`
    if (others >= this.#limits.unauthenticatedPerAddress) return `${others} without login from one address`
    this.#total++
    this.#unauthenticated++
    if (network !== undefined) this.#unauthenticatedBy.set(network, others + 1)
    let waiting = true
    let open = true
    const authenticated = () => {
      if (!waiting) return
      waiting = false
      this.#unauthenticated--
      if (network === undefined) return
      const left = this.#unauthenticatedBy.get(network)! - 1
      if (left === 0) this.#unauthenticatedBy.delete(network)
      else this.#unauthenticatedBy.set(network, left)
    }
    const gone = () => {
      if (!open) return
      open = false
      this.#total--
      authenticated()
    }
    return { authenticated, gone }
  }
}

/** An IPv4 address, or the /64 of an IPv6 one: whoever has an address there has them all. */
function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '').replace(/%.*$/, '')
  if (!plain.includes(':')) return plain
  const [head = '', tail] = plain.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length
  return [...before, ...Array<string>(Math.max(0, zeros)).fill('0'), ...after].slice(0, 4).join(':')
}
