import type { Log } from '../base/log.ts'
import type { MessageTrack } from './types.ts'

/** Keeps a message out of a mailbox that had one of its Message-Id. LMTP-05 */
export class Duplicates {
  private readonly track: MessageTrack
  private readonly log: Log
  /** Deliveries of this process, by what they deliver to where. */
  private readonly underWay = new Map<string, Promise<unknown>>()

  constructor(track: MessageTrack, log: Log) {
    this.track = track
    this.log = log
  }

  /** Undefined, and the work is not done, where it has been done before. `key`: names message and mailbox. */
  async once<T>(owner: string, key: string, work: () => Promise<T>): Promise<T | undefined> {
    const name = `${owner} ${key}`
    for (let before = this.underWay.get(name); before !== undefined; before = this.underWay.get(name))
      await before.catch(() => {})
    const done = this.unlessDone(owner, key, work)
    this.underWay.set(name, done)
    try {
      return await done
    } finally {
      this.underWay.delete(name)
    }
  }

  /** Where nothing can be read or written of what was, the message is delivered: a second one is better than none. */
  private async unlessDone<T>(owner: string, key: string, work: () => Promise<T>): Promise<T | undefined> {
    const before = await this.track.find('duplicate', owner, key).catch((error: unknown) => this.complain(error))
    if (before !== undefined) return undefined
    const result = await work()
    await this.track.add([{ kind: 'duplicate', owner, key }]).catch((error: unknown) => this.complain(error))
    return result
  }

  private complain(error: unknown): undefined {
    this.log.log('err', 'msgtrack_db could not be used: duplicates are not recognised', { error: String(error) })
  }
}
