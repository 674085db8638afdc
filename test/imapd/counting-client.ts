/** A client in a thread of its own that counts the lines of answers and keeps the last ones: what it does is not charged to the server. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

export interface Answer {
  /** How many lines came before the tagged one. */
  readonly lines: number
  readonly tail: string
}

export class CountingClient implements AsyncDisposable {
  private readonly thread: Worker

  private constructor(thread: Worker) {
    this.thread = thread
  }

  static async start(host: string, port: number): Promise<CountingClient> {
    const thread = new Worker(new URL(import.meta.url), { workerData: { host, port } })
    await once(thread, 'message')
    return new CountingClient(thread)
  }

  /** Sends a command without its tag, and waits for the tagged answer. */
  async command(text: string): Promise<Answer> {
    this.thread.postMessage(text)
    const [answer] = (await once(this.thread, 'message')) as [Answer]
    return answer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.thread.terminate()
  }
}

const lineFeed = 10
/** More than a tagged answer has, with all capabilities in it. */
const tailOctets = 4000

async function answerOf(socket: Socket, text: string): Promise<Answer> {
  let lines = 0
  let tail = ''
  socket.write(`t ${text}\r\n`)
  while (!/^t .*\r\n$/m.test(tail)) {
    const [octets] = (await once(socket, 'data')) as [Buffer]
    for (let at = octets.indexOf(lineFeed); at >= 0; at = octets.indexOf(lineFeed, at + 1)) lines += 1
    tail = (tail + octets.toString('latin1', Math.max(0, octets.length - tailOctets))).slice(-tailOctets)
  }
  return { lines: lines - 1, tail }
}

if (!isMainThread && parentPort !== null) {
  const main = parentPort
  const { host, port } = workerData as { host: string; port: number }
  const socket = connect(port, host)
  const [greeting] = (await once(socket, 'data')) as [Buffer]
  main.on('message', async (text: string) => main.postMessage(await answerOf(socket, text)))
  main.postMessage(greeting.toString('latin1'))
}
