/** Bounds how much is under way at once, in works and in octets; the rest waits in order. */
export class Slots {
  private readonly limit: number
  private readonly limitOctets: number
  private busy = 0
  private octets = 0
  private readonly waiting: (() => void)[] = []
  private readonly idle: (() => void)[] = []

  constructor(limit: number, limitOctets: number) {
    this.limit = limit
    this.limitOctets = limitOctets
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
      this.tell()
    }
  }

  /** Octets that work under way, or waiting to be, keeps in memory; `release` them when it is done. They never wait for anybody else. */
  hold(octets: number): void {
    this.octets += octets
  }

  release(octets: number): void {
    this.octets -= octets
    this.tell()
  }

  /** For whoever hands in work without waiting for it: undefined while there is room, else resolves when there is again. */
  room(): Promise<void> | undefined {
    if (this.hasRoom) return undefined
    return new Promise((resolve) => this.idle.push(resolve))
  }

  private get hasRoom(): boolean {
    return this.waiting.length < this.limit && this.octets < this.limitOctets
  }

  private tell(): void {
    if (this.idle.length > 0 && this.hasRoom) for (const resume of this.idle.splice(0)) resume()
  }
}
