/** This project's store, in a process of its own that does what it is told over an IPC channel. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { systemClock } from '#src/base/clock.ts'
import type { Uid, UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { openStore } from '#src/store/store.ts'
import type { Mailbox } from '#src/store/types.ts'
import type { Cost, MeasuredStore } from './mailbox-steps.ts'

const user = 'lena@bench.example' as UserId

type Order =
  | { readonly word: 'fill'; readonly messages: readonly string[]; readonly count: number }
  | { readonly word: 'open' | 'memory' }
  | { readonly word: 'flags'; readonly mode: 'add' | 'remove'; readonly flag: string }
  | { readonly word: 'copy' | 'expunge'; readonly mailbox: string }

type Answer = Cost & { readonly error?: string; readonly octets?: number }

/** As the launcher of the services starts Node. */
export function withThreads(): NodeJS.ProcessEnv {
  return { ...process.env, UV_THREADPOOL_SIZE: process.env.UV_THREADPOOL_SIZE ?? '16' }
}

/** The side that measures. */
export class WherryStore implements MeasuredStore {
  readonly name = 'Wherry'
  private readonly root: string
  private child: ChildProcess | undefined

  constructor(root: string) {
    this.root = root
  }

  async fill(messages: readonly Buffer[], count: number): Promise<void> {
    await this.fresh()
    await this.order({ word: 'fill', messages: messages.map((octets) => octets.toString('latin1')), count })
  }

  async fresh(): Promise<void> {
    await this[Symbol.asyncDispose]()
    this.child = fork(import.meta.filename, [this.root], { execArgv: ['--expose-gc'], env: withThreads() })
    await once(this.child, 'message')
  }

  open = (): Promise<Cost> => this.order({ word: 'open' })
  flagAll = (mode: 'add' | 'remove', flag: string): Promise<Cost> => this.order({ word: 'flags', mode, flag })
  copyAll = (target: string): Promise<Cost> => this.order({ word: 'copy', mailbox: target })
  expungeHalf = (mailbox: string): Promise<Cost> => this.order({ word: 'expunge', mailbox })

  /** Octets that the process holds more with the mailbox open than before, garbage collected. */
  async memory(): Promise<number> {
    await this.fresh()
    return (await this.order({ word: 'memory' })).octets!
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.child
    this.child = undefined
    if (child === undefined || child.exitCode !== null) return
    child.disconnect()
    await once(child, 'exit')
  }

  private async order(order: Order): Promise<Answer> {
    this.child!.send(order)
    const [answer] = (await once(this.child!, 'message')) as [Answer]
    if (answer.error !== undefined) throw new Error(answer.error)
    return answer
  }
}

/** The side that is measured. */
class Work {
  private readonly store: ReturnType<typeof openStore>
  private readonly account
  private source: Mailbox | undefined

  constructor(root: string) {
    this.store = openStore({ root, clock: systemClock, log: silentLog })
    this.account = this.store.account(user)
  }

  async do(order: Order): Promise<Answer> {
    switch (order.word) {
      case 'fill':
        return await cost(() => this.fill(order.messages, order.count))
      case 'open':
        return await cost(async () => {
          await this.source?.close()
          this.source = await this.account.open('source')
        })
      case 'memory':
        return {
          ...(await cost(() => this.account.open('INBOX').then((mailbox) => mailbox.close()))),
          octets: await this.held(),
        }
      case 'flags':
        return await cost(() =>
          this.source!.changeFlags({ uids: uidsOf(this.source!), mode: order.mode, flags: [order.flag] }),
        )
      case 'copy': {
        await this.account.create(order.mailbox)
        await using target = await this.account.open(order.mailbox)
        return await cost(() => this.source!.copyTo(uidsOf(this.source!), target))
      }
      case 'expunge': {
        await using mailbox = await this.account.open(order.mailbox)
        const half = uidsOf(mailbox).filter((_, position) => position % 2 === 0)
        return await cost(() => mailbox.expunge(half, 'client'))
      }
    }
  }

  private async fill(messages: readonly string[], count: number): Promise<void> {
    await this.account.ensure()
    await this.account.create('source')
    await using source = await this.account.open('source')
    for (let at = 0; at < messages.length; at += 500) {
      await using delivery = source.deliver()
      for (const text of messages.slice(at, at + 500)) {
        const sink = delivery.add({ internalDate: 1_700_000_000 + at })
        await sink.write(Buffer.from(text, 'latin1'))
        await sink.end()
      }
      await delivery.commit()
    }
    const first = uidsOf(source)
    for (let has = messages.length; has < count; has += first.length)
      await source.copyTo(first.slice(0, count - has), source)
  }

  private async held(): Promise<number> {
    const now = () => {
      for (let turn = 0; turn < 3; turn += 1) globalThis.gc!()
      const { heapUsed, external } = process.memoryUsage()
      return heapUsed + external
    }
    const before = now()
    this.source = await this.account.open('source')
    const open = now()
    if (this.source.messages.at(0) === undefined) throw new Error('the mailbox is empty')
    return open - before
  }
}

/** In the way of a session that was told `1:*`. */
function uidsOf({ messages }: Mailbox): Uid[] {
  const uids: Uid[] = []
  for (let position = 0; position < messages.length; position += 1) uids.push(messages.uidAt(position))
  return uids
}

async function cost(work: () => Promise<unknown>): Promise<Cost> {
  const cpu = process.cpuUsage()
  const start = performance.now()
  await work()
  const wallMs = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  return { wallMs, cpuMs: (user + system) / 1000 }
}

if (import.meta.main) {
  const work = new Work(process.argv[2]!)
  process.on('message', (order: Order) => {
    work.do(order).then(
      (answer) => process.send!(answer),
      (error: unknown) => process.send!({ wallMs: 0, cpuMs: 0, error: String(error) }),
    )
  })
  process.send!('ready')
}
