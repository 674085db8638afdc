/** An incoming message as scripts see it: its octets stay where they are. */
import { Scanner } from '../../mime/scan.ts'
import type { Envelope, SieveMessage } from '../../sieve/types.ts'
import type { IncomingMessage } from '../types.ts'

export const sieveMessage = (message: IncomingMessage, envelope: Envelope): SieveMessage => ({
  header: message.header,
  sizeOctets: message.sizeOctets,
  envelope,
  async structure() {
    const scanner = new Scanner()
    for await (const chunk of message.stream()) scanner.push(chunk)
    return scanner.end()
  },
  read: (start, end) => message.read(start, end),
})
