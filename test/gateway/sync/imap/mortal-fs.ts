import { type NewFile, nodeFs, type OpenFile, type StoreFs } from '#src/store/fs.ts'

/** A file system that is there for one process: after `kill` no call of it does anything or ends, as none would of a process that was killed. */
export class MortalFs {
  readonly fs: StoreFs
  #callsLeft = Infinity
  #killed: (() => void) | undefined
  #isDead = false
  calls = 0

  constructor() {
    const { open, create, listInPieces, ...plain } = nodeFs
    const mortal = Object.fromEntries(
      Object.entries(plain).map(([name, call]) => [
        name,
        this.#mortal(call as (...words: unknown[]) => Promise<unknown>),
      ]),
    )
    this.fs = {
      ...(mortal as Omit<StoreFs, 'open' | 'create' | 'listInPieces'>),
      listInPieces,
      open: this.#mortal(async (path: string) => this.#file<OpenFile>(await open(path))),
      create: this.#mortal(async (path: string) => this.#file<NewFile>(await create(path))),
    }
  }

  /** At the call after so many more; `killed` is called then. */
  killAfter(calls: number, killed: () => void): void {
    this.#callsLeft = calls
    this.#killed = killed
  }

  kill(): void {
    if (this.#isDead) return
    this.#isDead = true
    this.#killed?.()
  }

  #mortal<Words extends unknown[], Result>(call: (...words: Words) => Promise<Result>) {
    return async (...words: Words): Promise<Result> => {
      this.calls += 1
      this.#callsLeft -= 1
      if (this.#callsLeft < 0) this.kill()
      if (this.#isDead) return await new Promise<never>(() => {})
      const result = await call(...words)
      // What was done is done, but nobody hears of it.
      return this.#isDead ? await new Promise<never>(() => {}) : result
    }
  }

  #file<File extends object>(file: File): File {
    return new Proxy(file, {
      get: (target, name) => {
        const value = Reflect.get(target, name, target) as unknown
        return typeof value === 'function'
          ? this.#mortal(async (...words: unknown[]) => (await value.apply(target, words)) as unknown)
          : value
      },
    })
  }
}
