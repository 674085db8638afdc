/** A session in a mailbox of a million messages. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { plantMessages } from '#test/store/planted.ts'
import { startImapd } from './support.ts'

const user = 'anna@example.org'
const count = 1_000_000
const lineFeed = 10

/** A client that counts the lines of answers and keeps the last ones: whoever kept all of them would be what stalls. */
class Counter {
  readonly #socket: Socket
  #lines = 0
  #tail = ''
  #heard: () => void = () => {}

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (octets: Buffer) => {
      for (let at = octets.indexOf(lineFeed); at >= 0; at = octets.indexOf(lineFeed, at + 1)) this.#lines += 1
      this.#tail = (this.#tail + octets.toString('latin1', Math.max(0, octets.length - 500))).slice(-500)
      this.#heard()
    })
  }

  /** How many lines came before the tagged one, and the last of them. */
  async command(text: string): Promise<{ readonly lines: number; readonly tail: string; readonly stallMs: number }> {
    this.#lines = 0
    this.#tail = ''
    const turns = watchTurns()
    this.#socket.write(`t ${text}\r\n`)
    while (!/^t .*\r\n$/m.test(this.#tail)) await new Promise<void>((resolve) => (this.#heard = resolve))
    const stallMs = turns.end()
    expect(this.#tail, text).toMatch(/^t OK /m)
    return { lines: this.#lines - 1, tail: this.#tail, stallMs }
  }
}

/** CPU milliseconds of the longest turn of the event loop: what other work on the machine takes doesn't count. */
function watchTurns(): { end(): number } {
  const cpuMs = () => {
    const { user, system } = process.threadCpuUsage()
    return (user + system) / 1000
  }
  let longest = 0
  let last = cpuMs()
  let on = true
  const look = () => {
    const now = cpuMs()
    longest = Math.max(longest, now - last)
    last = now
    if (on) setImmediate(look)
  }
  setImmediate(look)
  return {
    end() {
      on = false
      return longest
    },
  }
}

const memoryMb = () => {
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return (heapUsed + arrayBuffers) / 1_048_576
}

it('is served without a stall, and with little memory', { timeout: 120_000 }, async () => {
  await using imapd = await startImapd([user])
  const socket = connect(imapd.port, imapd.host)
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  const client = new Counter(socket)
  await client.command(`LOGIN ${user} secret`)
  await plantMessages(`${imapd.root}/user/${encodeURIComponent(user).replace('%40', '@')}/INBOX`, count)
  const before = memoryMb()
  const selected = await client.command('SELECT INBOX')
  expect(selected.tail).toContain(`UIDNEXT ${count + 1}`)
  const answers = [selected]
  const ask = async (text: string, lines: number, tail?: string) => {
    const answer = await client.command(text)
    answers.push(answer)
    expect(answer.lines, text).toBe(lines)
    if (tail !== undefined) expect(answer.tail, text).toContain(tail)
  }
  await ask('FETCH 1:* (UID FLAGS)', count, `* ${count} FETCH (UID ${count} FLAGS (\\Recent))`)
  await ask('STORE 1:* +FLAGS.SILENT (\\Seen)', 0)
  await ask('SEARCH UNSEEN', 1, '* SEARCH\r\n')
  await ask('UID SEARCH LARGER 1000000', 1, ` ${count}\r\n`)
  await ask('STORE 2,4,6:8 +FLAGS (\\Deleted)', 5)
  await ask('EXPUNGE', 6, `* 2 EXPUNGE\r\n* ${count - 5} RECENT`)
  await ask(`STORE 1:${count / 2} +FLAGS.SILENT (\\Deleted)`, 0)
  await ask('EXPUNGE', count / 2 + 1, `* 1 EXPUNGE\r\n* ${count / 2 - 5} RECENT`)
  await ask('FETCH 1 (UID)', 1, `* 1 FETCH (UID ${count / 2 + 6})`)
  expect(Math.max(...answers.map(({ stallMs }) => stallMs))).toBeLessThan(250)
  globalThis.gc?.()
  expect(memoryMb() - before).toBeLessThan(300)
})
