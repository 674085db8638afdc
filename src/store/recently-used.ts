/** What was read from derived files lately, as much of it as fits in a number of octets; what was not asked for longest goes first. */
export class RecentlyUsed<Value> {
  private readonly limitOctets: number
  private octets = 0
  /** In the order of their last use. */
  private readonly entries = new Map<string, { readonly value: Value; readonly octets: number }>()

  constructor(limitOctets: number) {
    this.limitOctets = limitOctets
  }

  get(key: string): Value | undefined {
    const entry = this.entries.get(key)
    if (entry === undefined) return undefined
    this.entries.delete(key)
    this.entries.set(key, entry)
    return entry.value
  }

  /** Adds a value, or tells the present size of one that grew. `octets`: what it takes in memory. */
  set(key: string, value: Value, octets: number): void {
    this.delete(key)
    this.entries.set(key, { value, octets })
    this.octets += octets
    for (const [oldest] of this.entries) {
      if (this.octets <= this.limitOctets) return
      this.delete(oldest)
    }
  }

  delete(key: string): void {
    this.octets -= this.entries.get(key)?.octets ?? 0
    this.entries.delete(key)
  }
}
