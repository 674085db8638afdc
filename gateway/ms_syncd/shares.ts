/**
 * Who polls whom where several ms_syncd use one store. Users fall into 64 shares by their ids; each share has one holder. In the folder that
 * all nodes see (docs/decisions/0164-who-polls-whom.md):
 *
 *     nodes/<node>                one process, written again at every beat, with the users whose clients it serves
 *     shares/<share>.<claim>      made by whoever takes a share, exclusively; the highest claim holds
 *     leases/                     `leases.ts`
 *
 * What a maintainer could break: a node is given up by what one sees change, never by a time that somebody wrote; a claim
 * is never made again under the same name while an older one is there; a node that could not beat holds nothing.
 */
import { createHash, randomBytes } from 'node:crypto'
import { link, mkdir, readdir, readFile, readlink, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import { type Holder, Leases } from './leases.ts'

export const shareCount = 64
/** Far more users than have clients at one node. */
const maxBeatOctets = 8 * 1_048_576

export interface SharesOptions {
  readonly directory: string
  readonly clock: Clock
  readonly log: Log
  /** Time between two beats; 5 seconds. */
  readonly beatMs?: number
  /** A node whose beat did not change for so long is dead; 30 seconds. */
  readonly silenceMs?: number
  /** Names what process ids mean; undefined: nobody can tell from outside whether this process lives. */
  readonly place?: string | undefined
  /** Users whose clients are served here. */
  readonly here: () => Iterable<UserId>
  /** Who is polled here may be others now. */
  readonly onChange: () => void
}

interface Node {
  text: string
  /** On our own monotonic clock. */
  changedMs: number
  readonly place: string | undefined
  readonly pid: number
  readonly host: string
  here: ReadonlySet<string>
}

export class Shares implements AsyncDisposable {
  readonly id = randomBytes(9).toString('hex')
  readonly #options: Required<Omit<SharesOptions, 'place'>> & { readonly place: string | undefined }
  readonly #closing = new AbortController()
  readonly #nodes = new Map<string, Node>()
  /** Claims that we hold, by share. */
  readonly #mine = new Map<number, number>()
  #beats = 0
  #beatMs = -Infinity
  /** When the last turn that came to its end began. */
  #settledMs = -Infinity
  #running: Promise<void> = Promise.resolve()
  readonly #leases: Leases
  /** Turns and leases come one behind the other. */
  #last: Promise<unknown> = Promise.resolve()

  private constructor(options: SharesOptions) {
    this.#options = { beatMs: 5_000, silenceMs: 30_000, ...options, place: options.place }
    this.#leases = new Leases({
      directory: this.#path('leases'),
      id: this.id,
      isCurrent: () => this.#isHeard(this.#settledMs),
      find: (id) => this.#find(id),
    })
  }

  /** Resolves when this node has its shares, as far as there are any to have. */
  static async join(options: SharesOptions): Promise<Shares> {
    const shares = new Shares(options)
    await shares.#inOrder(() => shares.#turn())
    shares.#running = shares.#run()
    return shares
  }

  /** Whether this node polls a user; `hasClients`: his clients are served here. A node that serves him goes before the one that has his share. */
  isMine(userId: UserId, hasClients: boolean): boolean {
    // Others may have given us up.
    if (!this.#isHeard(this.#beatMs)) return false
    // Asked for each of thousands of users at a time: mostly there is nobody else.
    if (this.#nodes.size === 0 && (hasClients || this.#mine.size === shareCount)) return true
    const name = nameOf(userId)
    let firstOther: string | undefined
    for (const [id, { here }] of this.#nodes)
      if (here.has(name) && (firstOther === undefined || id < firstOther)) firstOther = id
    if (hasClients) return firstOther === undefined || this.id < firstOther
    return firstOther === undefined && this.#mine.has(shareOf(userId))
  }

  /** Since then nobody can have given us up. */
  #isHeard(sinceMs: number): boolean {
    const { clock, silenceMs, beatMs } = this.#options
    return clock.monotonic() - sinceMs <= silenceMs - 2 * beatMs
  }

  /** Takes the work of this name, unless another node that lives has it: answers that one. Throws what the system refuses. */
  lease(name: string): Promise<Holder | undefined> {
    return this.#inOrder(() => this.#leases.take(name))
  }

  holds(name: string): boolean {
    return this.#leases.holds(name)
  }

  async #find(id: string): Promise<Holder | undefined> {
    await this.#lookAtNodes()
    const node = this.#nodes.get(id)
    return node && { id, where: `process ${node.pid} on ${node.host}` }
  }

  async #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return await done
  }

  /** Shares of this node, and nodes that live, this one among them. */
  get counts(): { readonly shares: number; readonly nodes: number } {
    return { shares: this.#mine.size, nodes: this.#nodes.size + 1 }
  }

  async #run(): Promise<void> {
    const { clock, beatMs } = this.#options
    while (!this.#closing.signal.aborted) {
      await clock.sleep(beatMs, this.#closing.signal).catch(() => {})
      if (!this.#closing.signal.aborted) await this.#inOrder(() => this.#turn())
    }
  }

  async #turn(): Promise<void> {
    const { clock, log, onChange } = this.#options
    const [before, beganMs] = [this.#fingerprint(), clock.monotonic()]
    try {
      await this.#beat()
      await this.#lookAtNodes()
      await this.#lookAtShares()
      await this.#leases.look()
      this.#settledMs = beganMs
    } catch (error) {
      log.log('warning', 'who polls whom can not be settled with other nodes', { reason: (error as Error).message })
    }
    if (this.#fingerprint() !== before) onChange()
  }

  /** Changes whenever `isMine` may. */
  #fingerprint(): string {
    const others = [...this.#nodes].map(([id, { here }]) => `${id} ${[...here].join()}`)
    return `${[...this.#mine.keys()].sort().join()};${others.sort().join()}`
  }

  #path(...names: readonly string[]): string {
    return join(this.#options.directory, ...names)
  }

  async #beat(): Promise<void> {
    const { clock, here, place } = this.#options
    for (const folder of ['nodes', 'shares']) await mkdir(this.#path(folder), { recursive: true, mode: 0o700 })
    // Nobody reads it while there is no other node.
    const served = this.#nodes.size === 0 ? [] : [...here()].map(nameOf)
    const began = clock.monotonic()
    const beat = { beat: ++this.#beats, pid: process.pid, host: hostname(), place, here: served }
    await writeFile(this.#path(`.${this.id}`), JSON.stringify(beat), { mode: 0o600 })
    await rename(this.#path(`.${this.id}`), this.#path('nodes', this.id))
    this.#beatMs = began
  }

  async #lookAtNodes(): Promise<void> {
    const { clock, silenceMs } = this.#options
    const names = new Set(await readdir(this.#path('nodes')))
    for (const id of this.#nodes.keys()) if (!names.has(id)) this.#nodes.delete(id)
    for (const id of names) {
      if (id === this.id) continue
      const text = await readFile(this.#path('nodes', id), 'utf8').catch(() => undefined)
      if (text === undefined || text.length > maxBeatOctets) continue
      const known = this.#nodes.get(id)
      const now = clock.monotonic()
      if (known === undefined || known.text !== text) this.#nodes.set(id, nodeOf(text, now))
      const { changedMs, place, pid } = this.#nodes.get(id)!
      if (now - changedMs > silenceMs || (place !== undefined && place === this.#options.place && !lives(pid))) {
        this.#nodes.delete(id)
        await rm(this.#path('nodes', id), { force: true })
        this.#options.log.log(
          'notice',
          'another ms_syncd of this store is gone; its users are polled by those that are left',
          {
            node: id,
          },
        )
      }
    }
  }

  async #lookAtShares(): Promise<void> {
    const claims = new Map<number, { readonly claim: number; readonly holder: string }>()
    const stale: string[] = []
    for (const name of await readdir(this.#path('shares'))) {
      const match = /^(\d{1,2})\.(\d{1,15})$/.exec(name)
      if (match === null) continue
      const [share, claim] = [Number(match[1]), Number(match[2])]
      const known = claims.get(share)
      if (known !== undefined && known.claim > claim) {
        stale.push(name)
        continue
      }
      if (known !== undefined) stale.push(`${share}.${known.claim}`)
      const holder = await readFile(this.#path('shares', name), 'utf8').catch(() => '')
      claims.set(share, { claim, holder })
    }
    for (const name of stale) await rm(this.#path('shares', name), { force: true })
    this.#mine.clear()
    for (const [share, { claim, holder }] of claims) if (holder === this.id) this.#mine.set(share, claim)
    const fair = Math.ceil(shareCount / (this.#nodes.size + 1))
    await this.#giveBack(fair)
    for (let share = 0; share < shareCount && this.#mine.size < fair; share++) {
      const held = claims.get(share)
      if (held !== undefined && (held.holder === this.id || this.#nodes.has(held.holder))) continue
      await this.#claim(share, (held?.claim ?? 0) + 1)
    }
  }

  async #claim(share: number, claim: number): Promise<void> {
    const draft = this.#path(`.${this.id}.claim`)
    await writeFile(draft, this.id, { mode: 0o600 })
    try {
      await link(draft, this.#path('shares', `${share}.${claim}`))
      this.#mine.set(share, claim)
    } catch (error) {
      // Another node was first.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    } finally {
      await rm(draft, { force: true })
    }
  }

  /** Down to `keep` shares. */
  async #giveBack(keep: number): Promise<void> {
    for (const [share, claim] of this.#mine) {
      if (this.#mine.size <= keep) return
      this.#mine.delete(share)
      await unlink(this.#path('shares', `${share}.${claim}`)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error
      })
    }
  }

  /** Gives everything back at once: whoever is left goes on at its next beat. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('the node leaves'))
    await this.#running
    try {
      await this.#inOrder(() => this.#leases.release())
      await this.#giveBack(0)
      await rm(this.#path('nodes', this.id), { force: true })
    } catch (error) {
      this.#options.log.log('info', 'shares could not be given back', { reason: (error as Error).message })
    }
  }
}

/** A name that says nothing of the user. */
const nameOf = (userId: string): string => createHash('sha256').update(userId).digest('base64url').slice(0, 16)
const shareOf = (userId: string): number => createHash('sha256').update(userId).digest()[0]! % shareCount

const nodeOf = (text: string, changedMs: number): Node => {
  const { pid, host, place, here } = beatOf(text)
  return {
    text,
    changedMs,
    pid: typeof pid === 'number' ? pid : 0,
    host: typeof host === 'string' ? host : 'a host that does not say its name',
    place: typeof place === 'string' ? place : undefined,
    here: new Set(Array.isArray(here) ? here.filter((name) => typeof name === 'string') : []),
  }
}

/** What can't be read is a node that is there and serves nobody. */
const beatOf = (
  text: string,
): { readonly pid?: unknown; readonly host?: unknown; readonly place?: unknown; readonly here?: unknown } => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

const lives = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Where a process id means the same process: this boot of this host, in this namespace. Undefined where that can't be told. */
export const placeOfProcess = async (): Promise<string | undefined> => {
  try {
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
    return `${hostname()} ${boot} ${await readlink('/proc/self/ns/pid')}`
  } catch {
    return undefined
  }
}
