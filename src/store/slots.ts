/** Bounds how much is under way at once; the rest waits in order. */
export class Slots {
  private readonly limit: number
  private busy = 0
  private readonly waiting: (() => void)[] = []
  private readonly idle: (() => void)[] = []

  constructor(limit: number) {
    this.limit = limit
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.busy >= this.limit) await new Promise<void>((resolve) => this.waiting.push(resolve))
    else this.busy += 1
    try {
      return await work()
    } finally {
      const next = this.waiting.shift()
      if (next !== undefined) next()
      else this.busy -= 1
      if (this.waiting.length < this.limit) for (const resume of this.idle.splice(0)) resume()
    }
  }

  /** For whoever hands in work without waiting for it: undefined while there is room, else resolves when there is again. */
  room(): Promise<void> | undefined {
    if (this.waiting.length < this.limit) return undefined
    return new Promise((resolve) => this.idle.push(resolve))
  }
}
