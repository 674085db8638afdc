/** One request over a connection that nobody else uses yet, and its answer: STARTTLS and binds of several steps, which ldapts can't do. RFC 4511 §4.1.1 */
import type { Socket } from 'node:net'
import { type Message, MessageParser, type MessageResponse } from 'ldapts'

/** Answers to these requests are some hundred octets. */
const maxAnswerOctets = 64 * 1024

/**
 * Rejects when the connection ends, when the signal comes, and for octets behind the answer: before TLS begins they could be anybody's.
 * The caller destroys the socket then.
 */
export const roundTrip = (socket: Socket, request: Message, signal: AbortSignal): Promise<MessageResponse> => {
  const { promise, resolve, reject } = Promise.withResolvers<MessageResponse>()
  let received: Buffer = Buffer.alloc(0)
  // Not by 'data': the stream would go on flowing when nobody listens.
  const onReadable = () => {
    const octets: Buffer | null = socket.read()
    if (octets === null) return
    received = Buffer.concat([received, octets])
    const length = messageOctets(received)
    if (length === undefined ? received.length > 6 : length > maxAnswerOctets)
      reject(new Error('the answer is not LDAP, or too long'))
    else if (length !== undefined && received.length > length) reject(new Error('more than one answer came'))
    else if (received.length === length) parseMessage(received).then(resolve, reject)
  }
  const onEnd = () => reject(new Error('the server closed the connection instead of answering'))
  const onAbort = () => reject(new Error('no answer within the time limit'))
  socket.on('readable', onReadable)
  socket.once('close', onEnd)
  socket.once('error', reject)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  else socket.write(request.write())
  return promise.finally(() => {
    socket.off('readable', onReadable)
    socket.off('close', onEnd)
    socket.off('error', reject)
    signal.removeEventListener('abort', onAbort)
  })
}

/** Of the BER element that begins here, with its head; undefined while the head is not complete. RFC 4511 §5.1 */
const messageOctets = (octets: Buffer): number | undefined => {
  const first = octets[1]
  if (first === undefined) return undefined
  if (first < 0x80) return 2 + first
  const size = first & 0x7f
  if (size === 0 || size > 4 || octets.length < 2 + size) return undefined
  return 2 + size + octets.readUIntBE(2, size)
}

const parseMessage = async (octets: Buffer): Promise<MessageResponse> => {
  const parser = new MessageParser()
  const { promise, resolve, reject } = Promise.withResolvers<MessageResponse>()
  parser.once('message', resolve)
  parser.once('error', reject)
  parser.read(octets, new Map())
  return promise
}
