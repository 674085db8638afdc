/** What is looked at while the octets of a message go by on their way to a sink. */
import { BackendError } from '../errors.ts'
import type { BodySink } from '../types.ts'

/** A reply behind a line that ends with a dot. */
const swallowed = ['.\r\n+OK', '.\r\n-ERR']
const swallowedOctets = 6

/**
 * Some servers glue the terminating dot to a last line without CRLF; what follows looks like more of the message. With one
 * command at a time such a message never ends; with several, the next reply is inside. No message is worth that doubt:
 * the session ends, and one that has such lines by right is fetched by the next, which asks one by one.
 */
export const framed = (sink: BodySink, onGlued: () => void): BodySink => {
  let tail = ''
  return {
    write: (chunk) => {
      const seam = tail + chunk.toString('latin1', 0, swallowedOctets)
      if (swallowed.some((reply) => chunk.includes(reply) || seam.includes(reply))) {
        onGlued()
        throw new BackendError('protocol', 'the backend seems to send a message without a terminating line')
      }
      tail = (tail + chunk.toString('latin1', Math.max(0, chunk.length - swallowedOctets))).slice(-swallowedOctets)
      return sink.write(chunk)
    },
    end: () => sink.end(),
    abort: (reason) => sink.abort(reason),
  }
}

/** `reply`: the text of the reply to RETR, which tells the size at most servers (`120 octets`). RFC 1939 §5 */
export const measured = (sink: BodySink, reply: string, onDiffers: () => void): BodySink => {
  const announced = /^(\d{1,15}) octets/i.exec(reply)?.[1]
  if (announced === undefined) return sink
  let octets = 0
  return {
    write: (chunk) => {
      octets += chunk.length
      return sink.write(chunk)
    },
    end: () => {
      if (octets !== Number(announced)) onDiffers()
      return sink.end()
    },
    abort: (reason) => sink.abort(reason),
  }
}
