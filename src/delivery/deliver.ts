/** A message that a mail server hands over by a pipe, for one user or shared folder: delivered as any other. */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import type { Deliverer, Fate, Recipient } from './types.ts'

/** `sender`: the reverse-path. `octets`: with CRLF or LF, and with the trace fields. Resolves when what the fate tells of is durable. */
export async function deliver(
  deliverer: Deliverer,
  recipient: Recipient,
  octets: AsyncIterable<Uint8Array>,
  { clock, sender = '' }: { readonly clock: Clock; readonly sender?: string | undefined },
): Promise<Fate> {
  await using incoming = deliverer.begin({
    id: randomBytes(8).toString('hex'),
    sender,
    parameters: new Map(),
    trace: undefined,
    receivedAt: Math.floor(clock.now() / 1_000),
    recipients: [recipient],
  })
  for await (const chunk of withoutFromLine(withCrlf(octets))) await incoming.write(chunk)
  const [fate] = await incoming.end()
  return fate!
}

/** Programs that hand mail over by a pipe use LF. */
async function* withCrlf(octets: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let carried = ''
  for await (const piece of octets) {
    const text = carried + Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString('latin1')
    carried = text.endsWith('\r') ? '\r' : ''
    const whole = carried === '' ? text : text.slice(0, -1)
    if (whole !== '') yield Buffer.from(whole.replace(/\r?\n/g, '\r\n'), 'latin1')
  }
  if (carried !== '') yield Buffer.from(carried, 'latin1')
}

const fromLine = Buffer.from('From ')
const maxFromLine = 1_000

/** The line of a mailbox file, which some put before it. */
async function* withoutFromLine(octets: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let start: Buffer | undefined = Buffer.alloc(0)
  for await (const chunk of octets) {
    if (start === undefined) {
      yield chunk
      continue
    }
    start = Buffer.concat([start, chunk])
    const isOne: boolean = start.subarray(0, 5).equals(fromLine.subarray(0, start.length))
    const end: number = start.indexOf('\n')
    if (isOne && (start.length < 5 || (end < 0 && start.length < maxFromLine))) continue
    yield isOne ? start.subarray(end + 1) : start
    start = undefined
  }
  if (start !== undefined) yield start
}
